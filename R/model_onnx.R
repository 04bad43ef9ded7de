# ONNX. The engine reads the file and makes TorchScript of its graph (src/core/import/onnx/onnx.h).

#' Load a model of ONNX
#'
#' Reads a file that `torch.onnx.export()`, tf2onnx, keras2onnx, jax or another writer of ONNX
#' made, and makes the same model of it, without Python and without ONNX's own libraries.
#' [load_model()] does the same.
#'
#' ## What goes in and out
#' Sequences are `[n, 4, L]` here as everywhere in seqlift. Where the file declares the size 4 of
#' one dimension of its input, and no other could be it, that tells the layout (`[n, L, 4]`, `[n,
#' 1, L, 4]`, ...); else the layers do that the sequences reach first, as for [load_model()]. The
#' input that holds sequences comes first, whichever place it has in the file; other inputs are
#' given as the file has them. Names of inputs are those of the file (letters, digits and `_`),
#' outputs have the file's names and order.
#'
#' The batch dimension may be dynamic; write the file so (`dynamic_axes`). One that is fixed is set
#' free where every size that it makes up can be told, and the result is tried with other numbers
#' of sequences; else the model is refused.
#'
#' ## Operators
#' Versions 7 to 23 of ONNX's operators (`opset`):
#'
#' * Conv, ConvTranspose (one to three dimensions, groups, dilations, `auto_pad`), MaxPool,
#'   AveragePool, LpPool, GlobalMaxPool, GlobalAveragePool, GlobalLpPool, Resize and Upsample
#'   (nearest, linear), Pad (constant, reflect, edge);
#' * Gemm, MatMul, Einsum, CumSum, Trilu; BatchNormalization,
#'   InstanceNormalization, LayerNormalization, RMSNormalization, GroupNormalization,
#'   LpNormalization, MeanVarianceNormalization, LRN; LSTM, GRU, RNN (one or both directions, other
#'   activations, peepholes, initial states, one length for all sequences);
#' * Relu, LeakyRelu, PRelu, ThresholdedRelu, Elu, Selu, Celu, Gelu, Mish, HardSwish, Sigmoid,
#'   HardSigmoid, Tanh, Softplus, Softsign, Shrink, Clip, Softmax, LogSoftmax, Dropout (which does
#'   nothing in a prediction), Abs, Neg, Sign, Exp, Log, Sqrt, Reciprocal, Erf, Floor, Ceil, Round,
#'   trigonometric and hyperbolic functions and their inverses;
#' * Add, Sub, Mul, Div, Pow, Mod, Min, Max, Sum, Mean, comparisons, And, Or, Xor, Not, IsNaN,
#'   Where; ReduceSum, -Mean, -Max, -Min, -Prod, -L1, -L2, -LogSum, -LogSumExp, -SumSquare, ArgMax,
#'   ArgMin;
#' * Shape, Size, Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Expand, Tile, Concat, Split,
#'   Slice, Gather, GatherElements, GatherND, ScatterElements, ScatterND, TopK, OneHot, Constant,
#'   ConstantOfShape, Range, Cast, CastLike, Identity; If where its condition is known; Loop and
#'   Scan where it is known how often they go round; functions that the file defines by these;
#' * of onnxruntime's own domain (`com.microsoft`), which it writes when it optimises a model:
#'   FusedConv, FusedGemm, FusedMatMul, TransposeMatMul, Gelu, BiasGelu, FastGelu, QuickGelu,
#'   BiasSoftmax, SkipLayerNormalization, SimplifiedLayerNormalization,
#'   SkipSimplifiedLayerNormalization.
#'
#' Anything else, and any attribute or form that is not understood, is an error that names the
#' operator, its node and its domain. What no output needs is not looked at. Each node is a module
#' by its own name, and has PyTorch's class where PyTorch has one, so that `rules = "module"`,
#' `nonlinear_ops` in [deep_lift_shap()] and [audit_model()] know it; its source is the file and
#' the number of the node.
#'
#' An attribute is a number of 32 bits. It is taken for the shortest decimal that it stands for
#' (0.01, not 0.00999999978), so that a network in float64 computes what the network computed that
#' it was made from.
#'
#' ## Weights beside the file
#' Weights may lie in other files, in the folder of the model or below it. A place outside of it, a
#' symbolic link, a device or a pipe is refused.
#'
#' @param path Path of the ONNX file, or its address on the web, see [load_model()].
#' @param layout How the model takes its sequences, see [load_model()]. `NULL` (default): what the
#'   file tells.
#' @inheritParams load_model
#' @return A `seqlift_model`. Its TorchScript file lies in the session's temporary folder.
#' @section Errors: `seqlift_error_file` for a file that is missing or damaged, a graph that is
#'   none (circles, values that nothing computes), and weights that are elsewhere;
#'   `seqlift_error_model` for operators that are not read, and for a number of sequences that
#'   cannot be set free; else those of [load_model()].
#' @source ONNX: `docs/Operators.md` and `onnx/onnx.proto` (Apache 2.0).
#' @seealso [load_model()]
#' @export
#' @examples
#' model <- load_onnx_model(system.file("extdata", "formats", "bpnet.onnx", package = "seqlift"))
#' predict(model, "ACGTTGCATTAGCAGT", args = list(array(1, c(1, 2, 16))))$counts
load_onnx_model <- function(path, device = NULL, layout = NULL,
                            batch = c("independent", "joint"), allow_random = FALSE,
                            random_state = NULL, checksum = NULL) {
  call <- rlang::current_env()
  source <- path.expand(check_string(path, "path"))
  refuse_special_file(source)
  device <- if (is.null(device)) NULL else check_device(device)
  layout <- check_layout(layout, call)
  conduct <- check_conduct(batch, allow_random, random_state, call)
  path <- check_file(local_file(source, checksum, call))
  model <- open_onnx_model(path, device, call, layout, conduct)
  if (source != path) {
    model$source <- source
  }
  model
}

open_onnx_model <- function(path, device, call, layout = NULL, conduct = NULL) {
  declared <- ""
  write <- function(to) declared <<- call_engine("convert_onnx", path, to, call = call)
  converted_model(write,
    origin = list(format = "ONNX", path = path), device = device, call = call,
    layout = function() layout %||% declared_layout(declared), conduct = conduct
  )
}

# The layout that the sizes of the file's input tell, or NULL.
declared_layout <- function(dimensions) {
  if (!nzchar(dimensions)) {
    return(NULL)
  }
  layout <- layout_of(dimensions)
  if (!identical(layout, own_layout)) {
    inform_seqlift("layout", "The model takes {layout_text(layout)}, as its file declares.")
  }
  layout
}
