"""Which of an encoder's weights an end-to-end training may change: none, the last blocks, or low-rank additions."""

from collections.abc import Sequence
from typing import Any, cast

from torch import nn
from transformers import PreTrainedModel

from mise_hf.models.pooling_mise import encoder_num_layers

# Queries and values of attention, as the architectures that we take name them (Hu et al., 2022, "LoRA", section 4.2).
LORA_TARGETS = ("q_proj", "v_proj", "query", "value", "q_lin", "v_lin")


def open_encoder(
    encoder: PreTrainedModel, how: str, layers: Sequence[int], *, blocks: int, rank: int, checkpointing: bool
) -> None:
    """Make some of an encoder's weights trainable, in place.

    Args:
        encoder: pretrained.
        how: "last_n" or "lora".
        layers: that are pooled: blocks above the highest get no gradient, and stay frozen.
        blocks: number of blocks that "last_n" opens, counted down from the highest pooled layer.
        rank: of the additions of "lora".
        checkpointing: compute the blocks again in the backward pass instead of keeping their states.

    Raises:
        ValueError: where there is nothing to open, or "lora" without the package peft.
    """
    encoder.requires_grad_(False)
    stack, top = _blocks(encoder), max(layers)
    if top == 0:
        raise ValueError(
            f"only layer 0 of the {encoder.config.model_type} encoder is pooled; wanted one behind a block"
        )
    if how == "last_n":
        for block in stack[max(0, top - blocks) : top]:
            block.requires_grad_(True)
    else:
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError as error:
            raise ValueError(
                "train_encoders is 'lora' and peft is not installed: pip install 'mise-hf[lora]'"
            ) from error
        present = sorted({name.rpartition(".")[2] for name, _ in stack.named_modules()} & set(LORA_TARGETS))
        if not present:
            raise ValueError(
                f"the {encoder.config.model_type} encoder has none of the layers {', '.join(LORA_TARGETS)}; wanted "
                "train_encoders last_n"
            )
        config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=present)
        inject_adapter_in_model(config, encoder)
        for block in stack[top:]:
            block.requires_grad_(False)
    if checkpointing:
        _checkpointing(encoder, "enable", {"use_reentrant": False})


def close_encoder(encoder: PreTrainedModel) -> None:
    """Fold low-rank additions into the weights that they add to, and freeze all: a plain encoder again."""
    for parent in list(encoder.modules()):
        for name, child in list(parent.named_children()):
            # Of peft's layers: without the package there are none.
            if hasattr(child, "get_base_layer") and hasattr(child, "merge"):
                adapted = cast(Any, child)
                adapted.merge()
                setattr(parent, name, adapted.get_base_layer())
    _checkpointing(encoder, "disable")
    encoder.requires_grad_(False)


def _blocks(encoder: PreTrainedModel) -> nn.ModuleList:
    count = encoder_num_layers(encoder.config)
    for parent in encoder.modules():
        for name, stack in parent.named_children():
            if name in ("layer", "layers") and isinstance(stack, nn.ModuleList) and len(stack) == count:
                return stack
    raise ValueError(f"the {encoder.config.model_type} encoder has no stack of {count} blocks; wanted one to open")


def quieten(encoder: PreTrainedModel) -> None:
    """Switch off an encoder's dropout, layer drop and masking of its input, in place; checkpointed blocks stay so.

    Two processes, or a resumed run, then see the same states; regularisation is left to the towers.
    """
    encoder.eval()
    for block in _blocks(encoder):
        # Blocks are checkpointed in training mode alone, and read dropout rates off themselves.
        block.training = getattr(block, "gradient_checkpointing", False)
        for name, value in vars(block).items():
            if isinstance(value, float) and "dropout" in name:
                setattr(block, name, 0.0)


def _checkpointing(encoder: PreTrainedModel, switch: str, *options: dict) -> None:
    # Renamed in transformers 5.24; the old name goes with version 6.
    name = "activation" if hasattr(encoder, "activation_checkpointing_enable") else "gradient"
    getattr(encoder, f"{name}_checkpointing_{switch}")(*options)
