#!/bin/bash
#SBATCH --job-name=mise-generator
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
# sbatch examples/slurm.sh TRAINING CONFIG.yaml, for example: sbatch examples/slurm.sh generator examples/generator.yaml
# Slurm sends SIGTERM two minutes before the time is up (and on pre-emption): the step is finished and saved, and the
# requeued job goes on. The run folder must lie where the first machine finds it again.
set -euo pipefail

training=$1
config=$2
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
main=${hosts%%$'\n'*}

srun bash -c "exec accelerate launch --config_file examples/accelerate/machines2.yaml \
    --num_machines $SLURM_NNODES --num_processes $((SLURM_NNODES * 8)) --machine_rank \$SLURM_NODEID \
    --main_process_ip $main --main_process_port 29500 \
    -m mise_hf.training.$training --config $config"
