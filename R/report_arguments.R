# Checks of the arguments of attribution_report(), all of them before anything is computed.

check_report_tools <- function(call) {
  check_package(c("rmarkdown", "knitr", "jsonlite"), "A report", call)
  if (!rmarkdown::pandoc_available("2.0")) {
    abort_seqlift("package",
      c("A report needs pandoc 2.0 or later, which is not installed.",
        i = "Install {.pkg pandoc} from your distribution, or from {.url https://pandoc.org}."
      ),
      call = call
    )
  }
}

report_dots <- c(
  "batch_size", "rules", "nonlinear_ops", "fallback", "warning_threshold", "dtype", "device",
  "standard_errors"
)

check_report_dots <- function(dots, call) {
  check_all_named(dots, "...", call)
  unknown <- setdiff(names(dots), report_dots)
  if (length(unknown) > 0L) {
    abort_argument("...", paste("arguments of deep_lift_shap():", toString(report_dots)),
      toString(unknown),
      call = call
    )
  }
  dots
}

check_report_attributions <- function(attributions, sequences, call) {
  if (is.null(attributions)) {
    return(invisible())
  }
  check_attributions(attributions, "attributions", call)
  refuse <- function(expected, got) {
    abort_argument("attributions", expected, got, kind = "attributions", call = call)
  }
  kind <- attr(attributions, "kind", exact = TRUE)
  if (kind != "attributions") {
    refuse("attributions of the observed bases", attribution_kinds[[kind]])
  }
  if (has_targets(attributions)) {
    refuse("the attributions of one target", paste("of", dim(attributions)[4L], "targets"))
  }
  if (!identical(dim(attributions)[-2L], c(sequences$n, sequences$length))) {
    refuse(paste(sequences$n, "sequences of", sequences$length, "bp, as `X` is"),
      paste(dim(attributions)[1L], "of", dim(attributions)[3L], "bp")
    )
  }
  letters <- matrix(c(base_letters, "N")[as.integer(sequence_letters(sequences)) + 1L],
    nrow = sequences$length
  )
  other <- which(colSums(letters != observed_bases(attributions)) > 0L)
  if (length(other) > 0L) {
    refuse("of the sequences in `X`", paste("of others, sequence", other[1L], "being the first"))
  }
}

# list(motifs, their names and letters), or NULL.
check_report_motifs <- function(motifs, sequences, call) {
  if (is.null(motifs)) {
    return(NULL)
  }
  patterns <- report_patterns(motifs, call)
  motifs <- as_motif_list(if (is.null(patterns)) motifs else pattern_matrices(patterns), call)
  arg <- paste0("motifs[[", seq_along(motifs), "]]")
  placed <- place_motifs(motifs, arg, sequences, NULL, call)
  several <- vapply(placed$codes, ncol, integer(1L)) > 1L
  if (any(several)) {
    abort_argument(arg[several][1L], "one motif for all sequences", "one for each", call = call)
  }
  letters <- vapply(placed$codes, core_decode, "", paste(base_letters, collapse = ""))
  list(motifs = unname(motifs), names = placed$names, letters = letters, patterns = patterns)
}

# The table of variants of any kind; where no `ref` is given, as many letters as `alt` has.
check_report_variants <- function(variants, sequences, strict, call) {
  if (is.null(variants)) {
    return(NULL)
  }
  codes <- sequence_codes(sequences, call = call)
  if (is.data.frame(variants) && !"ref" %in% names(variants)) {
    named <- variants[["variant"]]
    variants <- check_variants(variants, "variants", sequences, "alt", strict, call)
    variants$variant <- named[variants$row]
    variants$ref <- vapply(seq_len(nrow(variants)), function(i) {
      place <- variants$position[i]:variants$end[i]
      core_decode(codes[place, variants$example[i], drop = FALSE],
        paste(base_letters, collapse = "")
      )
    }, character(1L))
  }
  checked <- check_all_variants(variants, sequences, codes, strict, call)
  sizes <- nchar(checked$ref) != nchar(checked$alt)
  if (sequences$channels > n_bases && any(sizes)) {
    abort_argument("variants", "substitutions where `X` has channels beyond the bases",
      paste0("one that changes the length (row ", checked$row[sizes][1L], ")"),
      kind = "variants", call = call
    )
  }
  checked
}
