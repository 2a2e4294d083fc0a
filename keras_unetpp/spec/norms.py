"""Tables of what stands between convolutions: normalisations and activations."""

from typing import NamedTuple

from keras_unetpp.spec.activations import Activation, LeakyRelu, PRelu
from keras_unetpp.spec.choices import BOTH, Choices
from keras_unetpp.spec.facts import Operation
from keras_unetpp.spec.ops import BatchNorm, GroupNorm, InstanceNorm, LayerNorm


class Between(NamedTuple):
    """A row of either table.

    Attributes:
        text: what it is.
        source: where it comes from.
        operation: that does it; None: no layer.
        ranks: for images (2), for volumes (3).
        in_groups: `norm_groups` must divide the channels of what it reads.
        over_sides: it leaves nothing of a channel of one cell.
    """

    text: str
    source: str
    operation: Operation | None
    ranks: tuple[int, ...] = BOTH
    in_groups: bool = False
    over_sides: bool = False


NORMS: Choices[Between] = Choices(
    none=Between("no normalisation", "Ronneberger et al., MICCAI 2015", None),
    batch=Between("each channel over the batch", "Ioffe and Szegedy, ICML 2015", BatchNorm()),
    group=Between("groups of channels over the image", "Wu and He, ECCV 2018", GroupNorm(), in_groups=True),
    instance=Between(
        "each channel over the image", "Ulyanov et al., arXiv:1607.08022", InstanceNorm(), over_sides=True
    ),
    layer=Between("the channels of each pixel", "Ba et al., arXiv:1607.06450", LayerNorm()),
)
"""`Spec.norm`: each with a scale and an offset that are trained."""


def _function(name: str, text: str, source: str, operators: int = 950) -> Between:
    """A row by Keras' name; most functions become several operators in a .tflite file, of up to 950 bytes."""
    return Between(text, source, Activation(name, operators))


ACTIVATIONS: Choices[Between] = Choices(
    relu=_function("relu", "max(x, 0)", "Nair and Hinton, ICML 2010", operators=0),
    relu6=_function("relu6", "min(max(x, 0), 6)", "Howard et al., arXiv:1704.04861", operators=0),
    leaky_relu=Between("x, or activation_slope times x below 0", "Maas et al., ICML 2013 workshops", LeakyRelu()),
    prelu=Between("x, or below 0 a trained slope times x, one for each channel", "He et al., ICCV 2015", PRelu()),
    elu=_function("elu", "x, or exp(x) - 1 below 0", "Clevert et al., ICLR 2016"),
    selu=_function("selu", "elu, scaled to keep mean 0 and variance 1", "Klambauer et al., NIPS 2017"),
    gelu=_function("gelu", "x times the normal distribution's share below x", "Hendrycks and Gimpel, arXiv:1606.08415"),
    silu=_function("silu", "x sigmoid(x)", "Elfwing et al., Neural Networks 2018"),
    mish=_function("mish", "x tanh(softplus(x))", "Misra, BMVC 2020"),
    hard_silu=_function("hard_silu", "x relu6(x + 3) / 6", "Howard et al., ICCV 2019"),
    softplus=_function("softplus", "log(exp(x) + 1)", "Dugas et al., NIPS 2000"),
    tanh=_function("tanh", "hyperbolic tangent", "LeCun et al., Efficient BackProp, 1998"),
    sigmoid=_function("sigmoid", "1 / (1 + exp(-x))", "Rumelhart et al., Nature 1986"),
    linear=_function("linear", "x as it is", "Long et al., CVPR 2015"),
)
"""`Spec.activation`."""
