#' Write sequences and hypothetical attributions for TF-MoDISco
#'
#' Two files that tfmodisco-lite reads: `modisco motifs -s ohe.npz -a shap.npz -n 20000 -o
#' motifs.h5` finds motifs in them.
#'
#' Each holds one array, `arr_0`, of shape `(n, 4, L)` in numpy's order, bases as A, C, G, T: the
#' sequences one-hot encoded (int8, zeros at an N), and the hypothetical attributions (float32, as
#' tfmodisco-lite computes with). The arrays are written piece by piece. Either both files appear or
#' none.
#'
#' @param attributions A result of [deep_lift_shap()], [saturation_mutagenesis()] or [taylor_ism()]
#'   of hypothetical attributions (kind `"hypothetical"`) and one target.
#' @param ohe_path,shap_path Paths of the files for sequences and attributions. They must end in
#'   `.npz`: tfmodisco-lite goes by that. Files of that name are replaced.
#' @param width How many positions around the centre to write, in bp, from 1 to L. Default `NULL`:
#'   all. The first one is `L %/% 2 - width %/% 2`, counted from 0, as tfmodisco-lite cuts its own
#'   `--window`.
#' @return `c(ohe_path, shap_path)`, invisibly.
#' @section Errors: `seqlift_error_argument` for attributions of another kind or of several targets,
#'   with numbers that are not finite, or another wrong argument; `seqlift_error_file` for a path
#'   that cannot be written, or a full disk.
#' @source tfmodisco-lite (Schreiber), <https://github.com/jmschrei/tfmodisco-lite>; Shrikumar et
#'   al. (2018), arXiv:1811.00416.
#' @seealso [tfmodisco_seqlets()], [export_bigwig()]
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- deep_lift_shap(
#'   model, demo_sequences()[1:2],
#'   n_shuffles = 5, hypothetical = TRUE, random_state = 0
#' )
#' folder <- tempfile()
#' dir.create(folder)
#' export_modisco(attributions, file.path(folder, "ohe.npz"), file.path(folder, "shap.npz"))
#' file.size(list.files(folder, full.names = TRUE))
export_modisco <- function(attributions, ohe_path, shap_path, width = NULL) {
  call <- rlang::current_env()
  check_hypothetical(attributions)
  ohe_path <- check_npz_path(ohe_path, "ohe_path")
  shap_path <- check_npz_path(shap_path, "shap_path")
  if (normalizePath(ohe_path, mustWork = FALSE) == normalizePath(shap_path, mustWork = FALSE)) {
    abort_argument("shap_path", "another path than `ohe_path`", describe(shap_path))
  }
  length <- n_positions(attributions)
  width <- check_count(width, "width", max = length, null = TRUE) %||% length
  if (!all(is.finite(attributions))) {
    abort_argument("attributions", "finite numbers", "one with NA, NaN or Inf")
  }
  n <- dim(attributions)[1L]
  window <- length %/% 2L - width %/% 2L + seq_len(width)
  pieces <- split(seq_len(n), (seq_len(n) - 1L) %/% max(1L, modisco_piece %/% (4L * width)))
  values <- as.array(attributions)
  codes <- result_codes(attributions)
  shape <- c(n, n_bases, width)
  # The second file is renamed when the first is whole, and the first right after it.
  write_whole(ohe_path, function(ohe) {
    write_npz(ohe, "|i1", shape, length(pieces), function(i) {
      one_hot_bytes(codes[window, pieces[[i]], drop = FALSE])
    })
    write_whole(shap_path, function(shap) {
      write_npz(shap, "<f4", shape, length(pieces), function(i) {
        aperm(values[pieces[[i]], , window, drop = FALSE], 3:1)
      })
    }, call = call)
  }, call = call)
  invisible(c(ohe_path, shap_path))
}

# Numbers in a piece that is written at a time.
modisco_piece <- 2e6

check_hypothetical <- function(attributions, call = caller_env()) {
  check_some_sequences(attributions, call = call)
  kind <- attr(attributions, "kind", exact = TRUE)
  if (kind != "hypothetical") {
    abort_argument("attributions", "hypothetical attributions", attribution_kinds[[kind]],
      hint = "TF-MoDISco needs the numbers of all four bases: compute them with
              {.code hypothetical = TRUE}.",
      call = call
    )
  }
  check_one_target(attributions, "attributions", call)
}

check_npz_path <- function(path, arg, call = caller_env()) {
  path <- check_output_path(path, arg, call)
  if (!grepl("\\.npz$", path)) {
    abort_argument(arg, "the path of a file that ends in .npz", describe(path),
      hint = "tfmodisco-lite goes by the ending.", call = call
    )
  }
  path
}

# The sequences of a result as raw codes [L, n].
result_codes <- function(attributions) {
  X <- attr(attributions, "X", exact = TRUE)
  if (is.raw(X)) X else sequence_codes(as_sequences(X))
}

# Codes [L, n] as the bytes of an array (n, 4, L), the last dimension fastest.
one_hot_bytes <- function(codes) {
  shape <- dim(codes)
  bytes <- array(raw(1L), c(shape[1L], n_bases, shape[2L]))
  for (base in seq_len(n_bases)) {
    bytes[, base, ] <- as.raw(codes == as.raw(base - 1L))
  }
  bytes
}
