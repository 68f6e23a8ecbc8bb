"""What to use instead of layers and functions that have no spiking counterpart."""

ACTIVATION = "ReLU, ReLU6 or Hardtanh(0, a)"
ORDER = "the outputs it is taken of, which keep the order"
# by the beginning of the lower-case name of a module or function
HINTS = (
    (("fractionalmax", "fractional_max", "maxpool3d", "max_pool3d", "maxunpool", "max_unpool", "lppool", "lp_pool"),
     "MaxPool2d"),
    (("max", "min", "amin", "aminmax", "median", "kthvalue"),
     "MaxPool2d, or AdaptiveMaxPool2d(1) over the whole image"),
    (("argmax", "argmin", "topk", "sort", "argsort"), ORDER),
    (("normalize", "norm", "cosine", "cdist"), "the outputs ahead of it"),
    (("conv3d", "convtranspose", "conv_transpose", "lazyconv"), "Conv2d"),
    (("pixelunshuffle", "pixel_unshuffle"), "Conv2d whose stride is the factor"),
    (("upsampl", "interpolate", "pixelshuffle", "pixel_shuffle", "fold", "unfold"),
     "Conv2d at the size the layer before it gives"),
    (("avgpool3d", "avg_pool3d", "adaptiveavgpool3d", "adaptive_avg_pool3d"), "AvgPool2d"),
    (("layernorm", "layer_norm", "groupnorm", "group_norm", "instancenorm", "instance_norm", "localresponse",
      "local_response", "rmsnorm", "rms_norm", "batchnorm3d", "batch_norm", "lazybatch"),
     "BatchNorm1d or BatchNorm2d as modules"),
    (("stack", "hstack", "vstack", "unbind"), "torch.cat over the channels and slices"),
    (("reflectionpad", "replicationpad", "circularpad", "constantpad", "zeropad"),
     "ZeroPad2d, or padding of the next convolution"),
    (("permute", "transpose", "swapaxes", "movedim", "t"),
     "samples that are stored as (N, C, H, W) or (N, C, L), and axes in that order throughout"),
    (("linear", "conv2d", "conv1d", "matmul", "mm", "addmm", "bmm", "einsum", "bilinear", "baddbmm"),
     "the modules Linear and Conv2d, or F.linear and F.conv2d with weights that do not depend on the samples"),
    (("rnn", "lstm", "gru"), "ThresholdRNN of spikeloom_convert.recurrent, or Conv1d over the whole sequence"),
    (("long", "int", "short", "byte", "bool", "round", "floor", "ceil", "sign"), "floats throughout"),
    (("multihead", "transformer", "scaled_dot_product", "embedding"), "Linear and Conv2d"),
    (("roll", "flip"), "a 1x1 Conv2d"),
    (("gt", "lt", "ge", "le", "eq", "ne", "where", "masked"), f"{ACTIVATION}, or LeakyReLU"),
    (("tanh", "gelu", "silu", "elu", "celu", "selu", "glu", "softplus", "softsign",
      "softshrink", "hardshrink", "tanhshrink", "softmin", "mish", "hardswish", "hardsigmoid", "hardtanh", "threshold",
      "abs", "pow", "exp", "log", "sqrt", "square", "sin", "cos"), ACTIVATION),
)  # fmt: skip
SUPPORTED = (
    "Linear, Conv1d, Conv2d, BatchNorm1d, BatchNorm2d, ReLU, ReLU6, Hardtanh(0, a), AvgPool2d, MaxPool2d, Flatten, "
    "additions and torch.cat"
)


def instead_of(name: str) -> str:
    """What to use instead of a module or function of some name."""
    plain = name.lower().lstrip("_")
    found = (use for starts, use in HINTS if any(_begins(plain, start) for start in starts))
    return next(found, SUPPORTED)


def _begins(name: str, start: str) -> bool:
    return name == start or (len(start) > 3 and name.startswith(start)) or name.startswith(f"{start}_")
