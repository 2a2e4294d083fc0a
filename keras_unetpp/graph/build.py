"""Spec -> `keras.Model`: the plan's rows walked in order, one stock layer each."""

from typing import Any

from keras_unetpp.graph.encoders import pretrained as encoder_weights
from keras_unetpp.graph.encoders.encode import encode
from keras_unetpp.graph.layers import make
from keras_unetpp.graph.model import UNetPP
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.memory import check_params
from keras_unetpp.spec.names import head_name
from keras_unetpp.spec.ops import Backbone
from keras_unetpp.spec.plan import plan
from keras_unetpp.spec.rows import IMAGE


def build(spec: Spec | tuple[int | None, ...] | None = None, *, preset: str | None = None, **fields: Any) -> UNetPP:
    """A UNet++ from a `Spec`, or from a preset and fields of `Spec`.

    The model takes pixel values 0..255, float or integer, of shape (batch, height, width, channels) or (batch, depth,
    height, width, channels), and gives a dict `L1`..`Ld` of float32 tensors (batch, *sides, classes), or one such
    tensor without deep supervision. It carries its `spec`.

    Args:
        spec: a Spec, or an `input_shape`.
        preset: a name from `keras_unetpp.spec.PRESETS` to start from.
        fields: fields of Spec, by name.

    Raises:
        InputError: naming the field, what was received and what is allowed; or why the backbone's pretrained weights
            cannot be had.

    >>> build((64, 64, 3), width=4, depth=2).count_params() == cost(Spec((64, 64, 3), width=4, depth=2)).params
    True
    """
    whole = resolve(spec, preset, fields)
    state = None if whole.encoder_weights is None else encoder_weights.read(whole)
    model = assemble(whole)
    if state is not None:
        encoder_weights.give(model, state, source=str(whole.encoder_weights))
    return model


def resolve(spec: Spec | tuple[int | None, ...] | None, preset: str | None, fields: dict[str, Any]) -> Spec:
    """The Spec that `build`'s arguments mean."""
    if isinstance(spec, Spec):
        if preset is not None:
            raise InputError(f"Give build() a Spec or a preset, not both. Received: preset={preset!r}.")
        return spec.replace(**fields) if fields else spec
    if spec is not None:
        if "input_shape" in fields:
            raise InputError(f"input_shape was given twice. Received: {spec!r} and {fields['input_shape']!r}.")
        fields = {"input_shape": spec, **fields}
    if preset is not None:
        return Spec.preset(preset, **fields)
    if "input_shape" not in fields:
        raise InputError("build() needs a Spec, an input_shape such as (256, 256, 3), or a preset. Received: none.")
    return Spec.from_dict(fields)


def assemble(spec: Spec) -> UNetPP:
    """The model of a Spec, with random weights throughout.

    Raises:
        InputError: it would have more weights than networks may have.
    """
    check_params(spec)
    tensors: dict[str, Any] = {}
    taps: dict[str, Any] = {}
    for row in plan(spec):
        sources = [tensors[name] for name in row.reads]
        if isinstance(row.operation, Backbone):
            taps = taps or encode(spec, sources[0])  # the first tap reads the image
            tensors[row.name] = taps[row.operation.tap.layer]
            continue
        layer = make(row, spec)
        made = layer(sources if len(sources) > 1 else sources[0]) if sources else layer.output
        tensors |= zip(row.outputs, made if row.more else [made], strict=True)
    outputs: Any = {head_name(level): tensors[head_name(level)] for level in spec.levels}
    if not spec.deep_supervision:
        outputs = outputs[head_name(spec.depth)]
    name = spec.topology.replace("+", "p").replace("-", "_")
    return UNetPP(inputs=tensors[IMAGE], outputs=outputs, name=name, spec=spec)
