# Attributions in HDF5 files, in the layout of ChromBPNet (generate_shap_dict() of its
# evaluation/interpret/interpret.py), as numpy sees the shapes:
#
#   raw/seq              int8 (n, 4, L)   the sequences, one-hot
#   shap/seq             float (n, 4, L)  hypothetical scores
#   projected_shap/seq   float (n, 4, L)  their product: the scores of the letters that are there
#
# What peers do not look for lies in the group `seqlift`:
#
#   values               values of another kind or of several targets, in place of the two above
#   convergence_deltas   float64 (n, n_refs), with several targets (n, n_refs, targets)
#   references           (n, n_refs, 4, L), where they were kept
#   standard_errors      of the shape of the values, where there are some
#   names                of the sequences
#   chrom, start, end, strand   the regions, from 1 and inclusive, where they are known
#   attributes           version, kind, n_refs, length, and what the result says of itself
#
# HDF5 counts dimensions from the slowest, R from the fastest: here every array is turned round.

#' Write attributions to an HDF5 file
#'
#' The layout is that of the contribution scores of ChromBPNet (`*.counts_scores.h5`), which
#' TF-MoDISco and other tools read: `raw/seq`, `shap/seq` and `projected_shap/seq`, each `(n, 4, L)`
#' as numpy sees it. Names, convergence deltas and settings lie beside them in a group `seqlift`,
#' where other tools do not look, so that [read_h5()] gives back everything.
#'
#' `shap/seq` holds hypothetical scores: only results with `hypothetical = TRUE` have them, and
#' TF-MoDISco needs them. Of attributions of the letters that are there, `projected_shap/seq` is
#' written, which tools that make bigWig files read. Results of other kinds, or of several targets,
#' are written beside `raw/seq` for [read_h5()] alone.
#'
#' Numbers are written in the precision in which they were computed: float32, or float64 for
#' `dtype = "float64"`. Convergence deltas are float64. The data are compressed with gzip, which all
#' HDF5 libraries read.
#'
#' @param attributions A result of [deep_lift_shap()] or another method (class
#'   `seqlift_attributions`).
#' @param path Path of the file. A file that is there is replaced when the new one is whole.
#' @return `path`, invisibly.
#' @section Errors: `seqlift_error_argument` when `attributions` is not such a result;
#'   `seqlift_error_file` for a path that cannot be written; `seqlift_error_package` when rhdf5 is
#'   not installed.
#' @source The function `generate_shap_dict` of ChromBPNet (`evaluation/interpret/interpret.py`),
#'   whose scores are float16.
#' @seealso [read_h5()]; `output` of [deep_lift_shap()] for results that do not fit in memory.
#' @export
#' @examplesIf requireNamespace("rhdf5", quietly = TRUE)
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- deep_lift_shap(model, demo_sequences()[1:2],
#'   n_shuffles = 5, random_state = 0, hypothetical = TRUE
#' )
#' path <- tempfile(fileext = ".h5")
#' export_h5(attributions, path)
#' read_h5(path)
export_h5 <- function(attributions, path) {
  check_some_sequences(attributions)
  check_package("rhdf5", "Writing an HDF5 file")
  write_whole(path, function(temporary) {
    n <- dim(attributions)[1L]
    create_h5(temporary, attributions, n, sequence_names(attributions))
    # A block at a time, because the product and its transpose are copies.
    for (rows in cut_chunks(n, rows_at_once(attributions))) {
      fill_h5(temporary, take_sequences(attributions, rows), rows)
    }
    finish_h5(temporary, attr(attributions, "info", exact = TRUE), largest_of(attributions),
      attr(attributions, "ranges", exact = TRUE)
    )
    check_h5_whole(temporary)
  })
}

#' Read attributions from an HDF5 file
#'
#' Reads what [export_h5()] or `deep_lift_shap(output = )` wrote, and the contribution scores that
#' ChromBPNet writes.
#'
#' @param path Path of the file.
#' @param in_memory `TRUE` (default) reads all of it; `FALSE` leaves the numbers in the file, see
#'   [seqlift_h5_attributions].
#' @return A `seqlift_attributions` array: of a file of seqlift the result as it was written, of a
#'   file of ChromBPNet the hypothetical scores (those of the letters that are there, where the file
#'   has no `shap/seq`) with the sequences, without convergence deltas. With `in_memory = FALSE` a
#'   [seqlift_h5_attributions].
#' @section Errors: `seqlift_error_file` for a file that is missing, is not HDF5, lacks `raw/seq` or
#'   the scores, or holds arrays of other shapes; `seqlift_error_package` when rhdf5 is not
#'   installed, or for `in_memory = FALSE` HDF5Array.
#' @seealso [export_h5()]
#' @export
#' @examplesIf requireNamespace("rhdf5", quietly = TRUE)
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- deep_lift_shap(model, demo_sequences()[1:2], n_shuffles = 5, random_state = 0)
#' path <- tempfile(fileext = ".h5")
#' export_h5(attributions, path)
#' read_h5(path)
read_h5 <- function(path, in_memory = TRUE) {
  call <- rlang::current_env()
  check_flag(in_memory, "in_memory")
  stored <- open_h5(path, call)
  if (in_memory) {
    return(read_h5_rows(stored, seq_len(stored$shape[1L]), call))
  }
  check_package(c("HDF5Array", "DelayedArray"), "{.code in_memory = FALSE}")
  new_h5_attributions(stored, call)
}

own_group <- "seqlift"

own <- function(name) paste0(own_group, "/", name)

# Doubles that are handled at a time: 64 MB of them.
doubles_at_once <- 8e6

rows_at_once <- function(attributions) {
  max(1L, as.integer(doubles_at_once %/% prod(dim(attributions)[-1L])))
}

# The layout's own scores are of one target.
is_of_layout <- function(kind, rank) rank == 3L && kind %in% c("hypothetical", "attributions")

# An empty file for n sequences; `part` is some of them, whose shapes are those of all.
create_h5 <- function(path, part, n, names) {
  kind <- attr(part, "kind", exact = TRUE)
  shape <- dim(part)
  length <- shape[if (kind == "multipliers") 4L else 3L]
  # What does not say how it was computed keeps all of its digits.
  dtype <- attr(part, "info", exact = TRUE)$dtype
  precision <- if (is.null(dtype) || identical(dtype, "float64")) {
    "H5T_IEEE_F64LE"
  } else {
    "H5T_IEEE_F32LE"
  }
  check_room(path, h5_overhead)
  rhdf5::h5createFile(path)
  for (group in c("raw", own_group)) {
    rhdf5::h5createGroup(path, group)
  }
  create_array(path, "raw/seq", c(n, n_bases, length), "H5T_STD_I8LE")
  if (is_of_layout(kind, length(shape))) {
    for (group in c(if (kind == "hypothetical") "shap", "projected_shap")) {
      rhdf5::h5createGroup(path, group)
      create_array(path, paste0(group, "/seq"), c(n, shape[-1L]), precision)
    }
  } else {
    create_array(path, own("values"), c(n, shape[-1L]), precision)
  }
  deltas <- dim(attr(part, "convergence_deltas", exact = TRUE))
  if (deltas[2L] > 0L) {
    create_array(path, own("convergence_deltas"), c(n, deltas[-1L]), "H5T_IEEE_F64LE")
  }
  kept <- attr(part, "references", exact = TRUE)
  if (!is.null(kept)) {
    create_array(path, own("references"), c(n, dim(kept)[-1L]), "H5T_IEEE_F32LE")
  }
  if (!is.null(attr(part, "standard_errors", exact = TRUE))) {
    create_array(path, own("standard_errors"), c(n, shape[-1L]), precision)
  }
  if (!is.null(names)) {
    write_strings(path, own("names"), names)
  }
  write_settings(path, list(
    version = as.character(utils::packageVersion("seqlift")), kind = kind, n_refs = deltas[2L]
  ))
}

# What a file needs beside its numbers: tables of blocks, and blocks that are written again when
# more of their rows come. Enough to ask for with every part that is written.
h5_overhead <- 2^20

# The shape is R's, sequences first. A block of the file holds whole sequences, about 64 kB of them.
create_array <- function(path, name, shape, type) {
  block <- max(1, min(shape[1L], 2^14 %/% prod(shape[-1L])))
  rhdf5::h5createDataset(path, name, rev(shape),
    H5type = type, chunk = rev(c(block, shape[-1L])), level = 1L
  )
}

# Rows of what `create_h5()` made, which follow each other.
fill_h5 <- function(path, part, rows) {
  kind <- attr(part, "kind", exact = TRUE)
  bases <- bases_of_file(codes_of_attributions(part))
  values <- turn_round(as.array(part))
  deltas <- attr(part, "convergence_deltas", exact = TRUE)
  kept <- attr(part, "references", exact = TRUE)
  # After a write that did not fit the HDF5 library ends the process. As many bytes as there were
  # without compression, scores being twice hypothetical ones and those of the letters.
  check_room(path, length(bases) + 16 * length(values) + 8 * length(deltas) + 4 * length(kept) +
    h5_overhead)
  file <- rhdf5::H5Fopen(path)
  on.exit(rhdf5::H5Fclose(file))
  write_rows(file, "raw/seq", bases, rows)
  if (is_of_layout(kind, length(dim(values)))) {
    if (kind == "hypothetical") {
      write_rows(file, "shap/seq", values, rows)
      values <- values * bases
    }
    write_rows(file, "projected_shap/seq", values, rows)
  } else {
    write_rows(file, own("values"), values, rows)
  }
  if (length(deltas) > 0L) {
    write_rows(file, own("convergence_deltas"), turn_round(deltas), rows)
  }
  if (!is.null(kept)) {
    write_rows(file, own("references"), turn_round(kept), rows)
  }
  errors <- attr(part, "standard_errors", exact = TRUE)
  if (!is.null(errors)) {
    write_rows(file, own("standard_errors"), turn_round(errors), rows)
  }
}

# As the file counts dimensions.
turn_round <- function(values) aperm(unname(values), rev(seq_along(dim(values))))

# The sequences one-hot, [L, 4, n], of codes [L, n].
bases_of_file <- function(codes) {
  bases <- array(0L, c(nrow(codes), n_bases, ncol(codes)))
  for (base in seq_len(n_bases)) {
    bases[, base, ] <- as.integer(codes == as.raw(base - 1L))
  }
  bases
}

# `values` are turned round. A range of rows: chosen ones, even all of a range, are as many
# selections, which take longer than the writing.
write_rows <- function(file, name, values, rows) {
  start <- c(rep(1L, length(dim(values)) - 1L), rows[1L])
  rhdf5::h5write(values, file, name, start = start, count = dim(values))
}

# Raw matrix [L, n] of the letters that a result remembers.
codes_of_attributions <- function(x) {
  X <- attr(x, "X", exact = TRUE)
  if (is.raw(X)) unname(X) else as_sequences(unname(X))$codes
}

# What is known when all rows are written.
finish_h5 <- function(path, info, largest_delta, ranges = NULL) {
  if (!is.null(ranges)) {
    check_room(path, 8 * length(ranges) + h5_overhead)
    write_strings(path, own("chrom"), as.character(GenomicRanges::seqnames(ranges)))
    rhdf5::h5write(GenomicRanges::start(ranges), path, own("start"))
    rhdf5::h5write(GenomicRanges::end(ranges), path, own("end"))
    write_strings(path, own("strand"), as.character(GenomicRanges::strand(ranges)))
    seqinfo <- GenomicRanges::seqinfo(ranges)
    write_strings(path, own("genome_chrom"), GenomeInfoDb::seqnames(seqinfo))
    # HDF5 has no missing values: 0 and "" are what is not known.
    lengths <- unname(GenomeInfoDb::seqlengths(seqinfo))
    rhdf5::h5write(ifelse(is.na(lengths), 0L, lengths), path, own("genome_length"))
    assembly <- unname(GenomeInfoDb::genome(seqinfo))
    write_strings(path, own("genome_assembly"), ifelse(is.na(assembly), "", assembly))
  }
  write_settings(path, c(list(largest_delta = largest_delta), settings_named(info, "info")))
}

# The library does not say when there was no room for all that it kept back until it closed the
# file. Every block that is read again says so: compressed ones that are not whole cannot be
# unfolded.
check_h5_whole <- function(path) {
  stored <- open_h5(path, caller_env())
  for (name in names(stored$datasets)) {
    shape <- stored$datasets[[name]]
    if (length(shape) < 2L) {
      rhdf5::h5read(path, name)
      next
    }
    each <- max(1, doubles_at_once %/% prod(shape[-1L]))
    for (first in seq(1, shape[1L], by = each)) {
      rhdf5::h5read(path, name,
        start = c(rep(1, length(shape) - 1L), first),
        count = c(rev(shape[-1L]), min(each, shape[1L] - first + 1))
      )
    }
  }
}

largest_of <- function(attributions) {
  max(0, abs(attr(attributions, "convergence_deltas", exact = TRUE)), na.rm = TRUE)
}

write_strings <- function(path, name, strings) {
  strings <- enc2utf8(whole_names(strings))
  size <- max(1L, nchar(strings, "bytes")) + 1L
  check_room(path, size * length(strings) + h5_overhead)
  rhdf5::h5createDataset(path, name, length(strings),
    storage.mode = "character", size = size, encoding = "UTF-8"
  )
  rhdf5::h5write(strings, path, name)
}

# Vectors as attributes of our group; what is no vector says nothing outside of R.
write_settings <- function(path, settings) {
  file <- rhdf5::H5Fopen(path)
  on.exit(rhdf5::H5Fclose(file))
  group <- rhdf5::H5Gopen(file, own_group)
  on.exit(rhdf5::H5Gclose(group), add = TRUE, after = FALSE)
  for (name in names(settings)) {
    value <- settings[[name]]
    if (is.atomic(value) && length(value) > 0L && !anyNA(value)) {
      rhdf5::h5writeAttribute(as.vector(value), group, name, asScalar = length(value) == 1L)
    }
  }
}

# Settings with `group` and a dot before their names. A result may say nothing of itself.
settings_named <- function(settings, group) {
  settings <- as.list(settings)
  settings <- settings[nzchar(names(settings) %||% rep("", length(settings)))]
  stats::setNames(settings, paste0(rep(paste0(group, "."), length(settings)), names(settings)))
}
