# Published networks from their weights: the engine knows the layers, the state dict their sizes.

#' BPNet, ChromBPNet and ProCapNet from a state dict
#'
#' Makes the network of a BPNet that was trained with PyTorch from its weights, without Python. How
#' many filters, layers, strands and control tracks there are, and how wide the convolutions, is
#' read from the weights.
#'
#' The names are those of bpnet-lite: `iconv`, `rconvs.0`, `rconvs.1`, ..., `fconv` and `linear`,
#' each with `.weight` and `.bias` (`fconv` and `linear` may have none). ProCapNet has the same.
#' ChromBPNet has them twice, after `accessibility.` and after `bias.`. What stands before all of
#' a network's names (`module.`, `model.`, `_orig_mod.`), and what else a checkpoint holds, is left
#' out; a message says so. See [read_state_dict()].
#'
#' `bpnet()` adds each residual layer after its ReLU, as ChromBPNet's own code and bpnet-lite's
#' `BPNet` do. The models of basepairmodels (bpnet-lite's `BasePairNet`), which apply it before the
#' convolution, have the same names but another arithmetic: `activation = "before"`. Its counts, one
#' for each task, are pooled over the profile's window and 37 bases on either side, whatever the
#' width of `fconv`, as in bpnet-lite. `procapnet()` needs no control track, pools what its own
#' `fconv` sees, and has one count for both strands, or one for each.
#'
#' `chrombpnet()` returns what explains the reads: the sum of both profiles, and the logarithm of
#' the sum of both counts. The bias's counts are pooled over its own window, which `bias_trimming`
#' gives; its profile is then cut to the accessibility's. By default that window follows from the
#' bias's own layers, as in bpnet-lite 1.0.0 and in the original model in TensorFlow (both of eight
#' and four layers: 557 and 77); bpnet-lite up to 0.7.2 had 557 for both, `bias_trimming = 557`. No
#' weight tells which, and `print()` says what was taken.
#'
#' A whole model that `torch.save(model, path)` wrote, as bpnet-lite does, tells more than its
#' weights: `trimming` is read from it where it is not given, and the class says where the ReLU is.
#'
#' For the accessibility alone, without the enzyme's bias:
#' `bpnet(state_dict, prefix = "accessibility")`.
#'
#' @param state_dict The weights: the path of a file that `torch.save(model.state_dict(), path)`
#'   or safetensors wrote, what [read_state_dict()] gives, or a named list of numeric arrays, which
#'   become single precision. Weights in files keep the precision that they have.
#' @param trimming How many bases the profile is shorter than the sequence, at each end. Default
#'   `NULL`: 47 + 2 + 4 + ... + 2^layers, bpnet-lite's own, 557 for eight layers; for `procapnet()`
#'   557 always. No weight tells what the training used: (length of the sequences - length of the
#'   profile) / 2.
#' @param bias_trimming The same of the bias's own profile, over which (and 37 bases on either side)
#'   its counts are pooled. Default `NULL`: by the number of the bias's layers.
#' @param prefix What leads to the network's weights where there are several networks in
#'   `state_dict`, see [read_state_dict()]: `"accessibility"`, `"ema"`. Default `NULL`: the only one
#'   that there is.
#' @param device Where to run it, see [load_model()].
#' @param activation Where the residual layers' ReLU is: `"after"` the convolution or `"before"`
#'   it, as in basepairmodels, whose controls are summed over the profile's window alone and 2, not
#'   1, is added before their logarithm; `trimming` is then 2^layers where nothing else tells.
#'   Default `NULL`: `"before"` for a whole model of the class `BasePairNet`, else `"after"`.
#' @return A `seqlift_model` of class `BPNet`, `BasePairNet`, `ChromBPNet` or `ProCapNet` with two
#'   outputs: the logits of the profile, `[n, strands, L - 2 * trimming]`, and the log counts,
#'   `[n, 1]` (`[n, tasks]` of a BPNet whose `linear` has several rows, `[n, 2]` of some
#'   ProCapNets). A BPNet
#'   with control tracks has the input `control_track` (`X_ctl` in bpnet-lite), `[n, tracks, L]`.
#'   Inner modules have the names of the weights, and PyTorch's classes.
#' @section Errors: `seqlift_error_model` when names are missing, left over, or have another shape
#'   than the other weights ask for (all of them are said at once), or weights are not finite;
#'   `seqlift_error_state_dict` when there are several such networks;
#'   `seqlift_error_argument` when `state_dict` is none of these, or
#'   `trimming` is less than half the width of `fconv`, or `bias_trimming` more than `trimming`;
#'   `seqlift_error_file` when the file is
#'   missing, damaged, or of another format.
#' @source Avsec et al. (2021), Nature Genetics 53:354 (BPNet); Pampari et al. (2024), bioRxiv
#'   2024.12.25.630221 (ChromBPNet); Cochran et al. (2024), bioRxiv 2024.05.28.596138 (ProCapNet).
#'   Names and order of the layers: bpnet-lite (Schreiber), github.com/jmschrei/bpnet-lite, and
#'   github.com/kundajelab/ProCapNet.
#' @seealso [select_output()] and [profile_score()] for what is explained, [with_args()] for the
#'   control track.
#' @export
#' @examples
#' # A BPNet of random weights: 6 filters, 2 layers, 2 strands, 2 control tracks.
#' weights <- function(...) array(rnorm(prod(...), sd = 0.3), c(...))
#' state_dict <- list(
#'   iconv.weight = weights(c(6, 4, 21)), iconv.bias = weights(6),
#'   rconvs.0.weight = weights(c(6, 6, 3)), rconvs.0.bias = weights(6),
#'   rconvs.1.weight = weights(c(6, 6, 3)), rconvs.1.bias = weights(6),
#'   fconv.weight = weights(c(2, 8, 75)), fconv.bias = weights(2),
#'   linear.weight = weights(c(1, 7)), linear.bias = weights(1)
#' )
#' model <- bpnet(state_dict, trimming = 40)
#' model
#' counts <- select_output(with_args(model, list(control_track = 0)), 2)
#' X <- random_one_hot(c(2, 4, 200), random_state = 1)
#' deep_lift_shap(counts, X, n_shuffles = 5, random_state = 1)
bpnet <- function(state_dict, trimming = NULL, device = NULL, prefix = NULL,
                  activation = NULL) {
  if (!is.null(activation)) {
    activation <- check_choice(activation, c("after", "before"), "activation")
  }
  build_bpnet("bpnet", state_dict, trimming, NULL, device, prefix,
    activation_before = identical(activation, "before")
  )
}

#' @rdname bpnet
#' @export
chrombpnet <- function(state_dict, trimming = NULL, device = NULL, bias_trimming = NULL,
                       prefix = NULL) {
  build_bpnet("chrombpnet", state_dict, trimming, bias_trimming, device, prefix)
}

#' @rdname bpnet
#' @export
procapnet <- function(state_dict, trimming = NULL, device = NULL, prefix = NULL) {
  build_bpnet("procapnet", state_dict, trimming, NULL, device, prefix)
}

build_bpnet <- function(name, state_dict, trimming, bias_trimming, device, prefix,
                        activation_before = FALSE, call = caller_env()) {
  count <- function(value, arg) {
    value <- check_count(value, arg, min = 0, null = TRUE, call = call)
    if (is.null(value)) -1L else value
  }
  options <- list(
    trimming = count(trimming, "trimming"), bias_trimming = count(bias_trimming, "bias_trimming"),
    activation_before = activation_before
  )
  build_architecture(name, state_dict, options, device, prefix, call)
}

#' Cherimoya from its weights
#'
#' Makes the network of a Cherimoya, BPNet's successor, from what `model.save(path)` wrote: a file
#' of `{config, state_dict}`. Its configuration says how far the profile is trimmed and how much
#' each block adds; a state dict alone does not. All sizes are read from the weights.
#'
#' The names are those of the package: `iconv`, `blocks.0.conv_weight` (or
#' `blocks.0.conv.conv_weight`), `blocks.0.linear1`, `blocks.0.linear2`, ..., `fconv` and `linear`;
#' `lw0` and `lw1` weigh its losses and are not needed. On a GPU, Cherimoya rounds some products to
#' bfloat16; here they are computed in the weights' precision, as on a CPU.
#'
#' @inheritParams bpnet
#' @param state_dict The weights: the path of a file, what [read_state_dict()] gives, or a named
#'   list of numeric arrays.
#' @param trimming How many bases the profile is shorter than the sequence, at each end. Default
#'   `NULL`: what the file's configuration says, else Cherimoya's own, 45 + 2^blocks, 557 for nine
#'   blocks.
#' @param residual_scale What each block's output is multiplied by before it is added. Default
#'   `NULL`: what the file's configuration says, else Cherimoya's own, 0.15.
#' @return A `seqlift_model` of class `Cherimoya` with two outputs: `profile`, logits
#'   `[n, signals, L - 2 * trimming]`, and `counts`, log counts `[n, groups]`. One with control
#'   tracks has the input `control_track`, `[n, tracks, L]`.
#' @section Errors: As [bpnet()].
#' @source Schreiber, github.com/jmschrei/cherimoya.
#' @export
#' @examples
#' # A Cherimoya of random weights: 6 filters, 2 blocks, 1 signal.
#' weights <- function(...) array(rnorm(prod(...), sd = 0.3), c(...))
#' block <- function(i) {
#'   values <- list(
#'     conv_weight = weights(c(3, 6)), linear1.weight = weights(c(12, 6)),
#'     linear2.weight = weights(c(6, 12))
#'   )
#'   setNames(values, paste0("blocks.", i, ".", names(values)))
#' }
#' state_dict <- c(
#'   list(iconv.weight = weights(c(6, 4, 21)), iconv.bias = weights(6)), block(0), block(1),
#'   list(
#'     fconv.weight = weights(c(1, 6, 75)), fconv.bias = weights(1),
#'     linear.weight = weights(c(1, 6)), linear.bias = weights(1)
#'   )
#' )
#' model <- cherimoya(state_dict)
#' X <- random_one_hot(c(1, 4, 150), random_state = 1)
#' counts <- select_output(model, "counts")
#' deep_lift_shap(counts, X, n_shuffles = 5, random_state = 1)
cherimoya <- function(state_dict, trimming = NULL, residual_scale = NULL, device = NULL,
                      prefix = NULL) {
  trimming <- check_count(trimming, "trimming", min = 0, null = TRUE)
  options <- list(
    trimming = if (is.null(trimming)) -1L else trimming,
    residual_scale = if (is.null(residual_scale)) {
      NA_real_
    } else {
      check_number(residual_scale, "residual_scale")
    }
  )
  build_architecture("cherimoya", state_dict, options, device, prefix, rlang::current_env())
}

#' Basset, DeepSEA and Beluga from a state dict
#'
#' Makes the network of one of these classifiers from its weights, without Python. The number of
#' filters, their widths, the dense layers and the number of tasks are read from the weights, the
#' sizes of the poolings are the published ones.
#'
#' The names are those of the models' ports from Torch 7, which number the layers: Kipoi's Basset
#' (`0.weight` to `21.1.bias`), DeepSEA (`0.weight` to `14.1.bias`; in Kipoi's files these stand
#' behind steps without weights, `1.0.weight` to `1.14.1.bias` in the one for variant effects and
#' `2.0.weight` to `2.14.1.bias` in the one for predictions), and ExPecto's and Kipoi's Beluga
#' (`model.0.0.weight` to `model.1.4.1.bias`). What stands before all of a network's names is left
#' out, as a message says. Networks of the same papers that others have written anew, with names of
#' their own (`conv1`, `fc1`), are not read.
#'
#' DeepSEA and Beluga were trained with their bases in the order A, G, C, T. Here sequences are in
#' the order A, C, G, T for every model: the channels of the first convolution are put in that
#' order when the model is made. For weights that you trained with another order, give `alphabet`.
#'
#' DeepSEA's port takes 1e-6 for what is not above zero where others have a ReLU; so does this one.
#' For predictions, Kipoi also averages DeepSEA over both strands, which is no part of the weights:
#' `reverse_complement_average(deepsea(path))`.
#'
#' @inheritParams bpnet
#' @param logits Whether the sigmoid at the end is left out: logits are what is usually explained.
#'   Default `FALSE`: probabilities, as published.
#' @param alphabet The order of the four bases that the weights were trained with, one string.
#' @return A `seqlift_model` of class `Basset`, `DeepSEA` or `Beluga` that takes sequences of the
#'   one length it was trained with (600, 1000 and 2000 bp) and gives `[n, tasks]`: 164, 919 and
#'   2002 with the published weights. Inner modules have the names of the weights, and PyTorch's
#'   classes.
#' @section Errors: `seqlift_error_model` when names are missing, left over, or have another shape
#'   than the other weights ask for (all of them are said at once), or weights are not finite;
#'   `seqlift_error_state_dict` when there are several such networks;
#'   `seqlift_error_argument` when `state_dict` is none of these, or
#'   `alphabet` does not hold the four letters once each; `seqlift_error_file` when the file is
#'   missing, damaged, or of another format.
#' @source Kelley, Snoek and Rinn (2016), Genome Research 26:990 (Basset); Zhou and Troyanskaya
#'   (2015), Nature Methods 12:931 (DeepSEA); Zhou et al. (2018), Nature Genetics 50:1171 (Beluga).
#'   Names and order of the layers: github.com/kipoi/models and github.com/FunctionLab/ExPecto.
#' @export
#' @examples
#' # A DeepSEA of random weights with 3, 4 and 5 filters, for sequences of 27 bp.
#' weights <- function(...) array(rnorm(prod(...), sd = 0.3), c(...))
#' state_dict <- list(
#'   `0.weight` = weights(c(3, 4, 1, 4)), `0.bias` = weights(3),
#'   `4.weight` = weights(c(4, 3, 1, 3)), `4.bias` = weights(4),
#'   `8.weight` = weights(c(5, 4, 1, 1)), `8.bias` = weights(5),
#'   `12.1.weight` = weights(c(6, 5)), `12.1.bias` = weights(6),
#'   `14.1.weight` = weights(c(2, 6)), `14.1.bias` = weights(2)
#' )
#' model <- deepsea(state_dict, logits = TRUE)
#' predict(model, random_one_hot(c(2, 4, 27), random_state = 1))
basset <- function(state_dict, logits = FALSE, alphabet = "ACGT", device = NULL,
                   prefix = NULL) {
  build_classifier("basset", state_dict, logits, alphabet, device, prefix)
}

#' @rdname basset
#' @export
deepsea <- function(state_dict, logits = FALSE, alphabet = "AGCT", device = NULL,
                    prefix = NULL) {
  build_classifier("deepsea", state_dict, logits, alphabet, device, prefix)
}

#' @rdname basset
#' @export
beluga <- function(state_dict, logits = FALSE, alphabet = "AGCT", device = NULL,
                   prefix = NULL) {
  build_classifier("beluga", state_dict, logits, alphabet, device, prefix)
}

build_classifier <- function(name, state_dict, logits, alphabet, device, prefix,
                             call = caller_env()) {
  options <- list(
    logits = check_flag(logits, "logits", call = call),
    alphabet = check_string(alphabet, "alphabet", call = call)
  )
  build_architecture(name, state_dict, options, device, prefix, call)
}

#' Enformer from a state dict
#'
#' Makes an Enformer from its weights, without Python: a tower of convolutions with attention
#' pooling, a transformer with relative positions, and a head for each species. All sizes are read
#' from the weights.
#'
#' The names are those of enformer-pytorch (`stem.0.weight`, `conv_tower.0.0.2.weight`,
#' `transformer.0.0.fn.1.to_q.weight`, `_heads.human.0.weight`, ...), for which the published
#' weights were converted (`EleutherAI/enformer-official-rough`). Its state dicts hold every stage a
#' second time after `_trunk.`: that is passed over, or taken where it stands alone.
#'
#' The transformer sees how far apart two bins are through three families of functions. The third,
#' densities of gamma distributions, is scaled in two ways: by each function's maximum over all
#' distances in the published weights, by the largest function at each distance in models that
#' enformer-pytorch trained with its defaults. No weight tells which; `use_tf_gamma` says it, as in
#' enformer-pytorch. Here they are computed in double precision for any length; the table that
#' enformer-pytorch keeps of TensorFlow's single precision differs from them by up to 0.0025.
#'
#' @inheritParams bpnet
#' @param head Name of the head to keep: `"human"`, `"mouse"`, or what the weights name after
#'   `_heads.` (any text). Default `NULL`: all, as outputs in the order of the state dict.
#' @param target_length How many central bins the model gives; `NULL` for all. Default 896, as
#'   published, of the 1536 bins of 196608 bp. As many are cut at both ends: where the number to cut
#'   is odd, the model gives one bin less, as enformer-pytorch does.
#' @param use_tf_gamma Whether positions are scaled as in the published weights (default `TRUE`) or
#'   as in models that enformer-pytorch trained with its defaults (`FALSE`).
#' @return A `seqlift_model` of class `Enformer` that gives `[n, bins, tracks]` for each head (5313
#'   human and 1643 mouse tracks as published). Inner modules have the names of the weights and the
#'   classes of PyTorch and enformer-pytorch.
#' @section Errors: `seqlift_error_model` when names are missing, left over, or have another shape
#'   than the other weights ask for (all of them are said at once), when there is no such head, or
#'   weights are not finite; `seqlift_error_argument` when `state_dict` is none of these;
#'   `seqlift_error_file` when the file is missing, damaged, or of another format.
#' @source Avsec et al. (2021), Nature Methods 18:1196. Names and order of the layers:
#'   enformer-pytorch (Wang), github.com/lucidrains/enformer-pytorch.
#' @export
#' @examples
#' # An Enformer of random weights: 12 channels, one stage of the tower, one transformer block.
#' weights <- function(...) array(rnorm(prod(...), sd = 0.2), c(...))
#' block <- function(prefix, inputs, outputs, width) {
#'   values <- list(
#'     `0.weight` = weights(inputs), `0.bias` = weights(inputs),
#'     `0.running_mean` = weights(inputs), `0.running_var` = runif(inputs) + 0.5,
#'     `2.weight` = weights(c(outputs, inputs, width)), `2.bias` = weights(outputs)
#'   )
#'   setNames(values, paste0(prefix, names(values)))
#' }
#' state_dict <- c(
#'   list(stem.0.weight = weights(c(6, 4, 15)), stem.0.bias = weights(6)),
#'   block("stem.1.fn.", 6, 6, 1),
#'   list(stem.2.to_attn_logits.weight = weights(c(6, 6, 1, 1))),
#'   block("conv_tower.0.0.", 6, 12, 5),
#'   block("conv_tower.0.1.fn.", 12, 12, 1),
#'   list(
#'     conv_tower.0.2.to_attn_logits.weight = weights(c(12, 12, 1, 1)),
#'     transformer.0.0.fn.0.weight = weights(12), transformer.0.0.fn.0.bias = weights(12),
#'     transformer.0.0.fn.1.rel_content_bias = weights(c(1, 2, 1, 4)),
#'     transformer.0.0.fn.1.rel_pos_bias = weights(c(1, 2, 1, 4)),
#'     transformer.0.0.fn.1.to_q.weight = weights(c(8, 12)),
#'     transformer.0.0.fn.1.to_k.weight = weights(c(8, 12)),
#'     transformer.0.0.fn.1.to_v.weight = weights(c(12, 12)),
#'     transformer.0.0.fn.1.to_out.weight = weights(c(12, 12)),
#'     transformer.0.0.fn.1.to_out.bias = weights(12),
#'     transformer.0.0.fn.1.to_rel_k.weight = weights(c(8, 6)),
#'     transformer.0.1.fn.0.weight = weights(12), transformer.0.1.fn.0.bias = weights(12),
#'     transformer.0.1.fn.1.weight = weights(c(24, 12)), transformer.0.1.fn.1.bias = weights(24),
#'     transformer.0.1.fn.4.weight = weights(c(12, 24)), transformer.0.1.fn.4.bias = weights(12)
#'   ),
#'   block("final_pointwise.1.", 12, 24, 1),
#'   list(`_heads.human.0.weight` = weights(c(3, 24)), `_heads.human.0.bias` = weights(3))
#' )
#' model <- enformer(state_dict, target_length = 4)
#' X <- random_one_hot(c(1, 4, 32), random_state = 1)
#' dim(predict(model, X))
#' audit_model(profile_score(model), X)
enformer <- function(state_dict, head = NULL, target_length = 896L, use_tf_gamma = TRUE,
                     device = NULL, prefix = NULL) {
  head <- check_string(head, "head", null = TRUE)
  target_length <- check_count(target_length, "target_length", null = TRUE)
  options <- list(
    head = if (is.null(head)) "" else head,
    target_length = if (is.null(target_length)) -1L else target_length,
    use_tf_gamma = check_flag(use_tf_gamma, "use_tf_gamma")
  )
  build_architecture("enformer", state_dict, options, device, prefix, rlang::current_env())
}

#' Borzoi from its weights
#'
#' Makes a Borzoi from its weights, without Python: a tower of convolutions, a transformer with
#' relative positions, a way back to 32 bp, and a head for each species. All sizes are read from the
#' weights.
#'
#' The names are those of borzoi-pytorch (`conv_dna.conv_layer.weight`,
#' `res_tower.0.conv_layer.weight`, `transformer.0.0.fn.1.to_q.weight`, `human_head.weight`, ...),
#' to which the published weights were converted, as safetensors. Flashzoi, with flash attention
#' (`transformer.0.0.fn.1.mha.Wqkv.weight`), is known by its names: rotary positions, and every two
#' heads share their keys and values. A prediction is what the head gives: Borzoi's squashed scale
#' is not undone.
#'
#' @inheritParams bpnet
#' @param head Name of the head to keep: `"human"` or `"mouse"`. Default `NULL`: those that the
#'   weights hold, as outputs in this order.
#' @param target_length How many central bins the model gives; `NULL` for all. Default 6144, as
#'   published, of the 16384 bins of 524288 bp.
#' @param heads Number of heads of Flashzoi's attention, which its weights do not tell. Default 8,
#'   as published. Not used otherwise.
#' @return A `seqlift_model` of class `Borzoi` that gives `[n, tracks, bins]` for each head (7611
#'   human and 2608 mouse tracks as published). Inner modules have the names of the weights and the
#'   classes of PyTorch and borzoi-pytorch.
#' @section Errors: As [enformer()].
#' @source Linder et al. (2025), Nature Genetics 57:949. Names and order of the layers:
#'   borzoi-pytorch (Hingerl), github.com/johahi/borzoi-pytorch; of the attention of Flashzoi:
#'   flash-attention (Dao), github.com/Dao-AILab/flash-attention.
#' @export
#' @examplesIf FALSE
#' model <- borzoi("model.safetensors", head = "human")
borzoi <- function(state_dict, head = NULL, target_length = 6144L, device = NULL, prefix = NULL,
                   heads = 8L) {
  if (!is.null(head)) {
    head <- check_choice(head, c("human", "mouse"), "head")
  }
  target_length <- check_count(target_length, "target_length", null = TRUE)
  options <- list(
    head = if (is.null(head)) "" else head,
    target_length = if (is.null(target_length)) -1L else target_length,
    heads = check_count(heads, "heads", max = 1024L),
    rotated = rotated_channels
  )
  build_architecture("borzoi", state_dict, options, device, prefix, rlang::current_env())
}

# Of each head of Flashzoi, those that turn with the position; all of one with fewer.
rotated_channels <- 128L
