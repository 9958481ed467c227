"""Training of the aligner, the generator and the SER head, on accelerate.

May import corpora (for end-to-end training, which reads recordings), features, objectives and models; nothing here is
published but what `save_pretrained` writes. Critics live here.

`aligner.py`, `generator.py` and `classifier.py` are the three trainings, each an object with `step`. What they share:
`loop.py` takes the steps of a run; `run_folder.py`, `checkpoints.py`, `trackers.py`, `stopping.py` and `divergence.py`
are what a run leaves, and how it ends; `distributed.py`, `parts.py` and `updates.py` make a step the same however many
processes and micro-batches take it; `stream*.py`, `sources.py` and `moments.py` are where rows come from;
`end_to_end.py`, `open_encoders.py` and `aligner_inputs.py` train encoders.
"""
