# Tables of score_variants() for other tools.

#' Pass on the scores of variants
#'
#' `variant_scores_as_granges()` makes a `GRanges` of the table of [score_variants()],
#' `export_vcf()` a VCF file with the scores as INFO fields.
#'
#' The ranges are the bases of the reference allele. The file has a record for each alternative
#' allele, in the order of the table; IDs are the names that the variants had. Scores that are
#' missing are left out of a record. Characters that INFO fields cannot have become `_` in their
#' names.
#'
#' @param scores A data frame of [score_variants()], or the path of the file that it wrote
#'   (`output = `).
#' @param path Path of the file to write, replaced if it is there. With `.gz` or `.bgz` at its end
#'   it is compressed as bgzip does (needs Rsamtools).
#' @return `variant_scores_as_granges()`: a `GRanges` with the names of the variants, the columns
#'   `REF` and `ALT` and all numbers of the table; [score_variants()] takes it as variants.
#'   `export_vcf()`: `path`, invisibly.
#' @section Errors: `seqlift_error_argument` for another table; `seqlift_error_file` for files that
#'   cannot be read or written; `seqlift_error_package` where a package is missing.
#' @source VCF 4.3: <https://samtools.github.io/hts-specs/>.
#' @seealso [score_variants()]
#' @name variant_scores_as_granges
#' @examplesIf all(vapply(c("Biostrings", "GenomicRanges"), requireNamespace, TRUE, quietly = TRUE))
#' model <- demo_model() |> with_args(list(control_track = 0))
#' genome <- Biostrings::DNAStringSet(demo_sequences()["fly_planted_AGATAAG"])
#' variants <- data.frame(
#'   chromosome = "fly_planted_AGATAAG", position = 252, ref = "A", alt = "C", variant = "rs1"
#' )
#' scores <- score_variants(model, variants, genome, width = 500, out_of_bounds = "pad")
#' variant_scores_as_granges(scores)
#'
#' path <- tempfile(fileext = ".vcf")
#' export_vcf(scores, path)
#' tail(readLines(path), 1)
NULL

#' @rdname variant_scores_as_granges
#' @export
variant_scores_as_granges <- function(scores) {
  call <- rlang::current_env()
  scores <- as_variant_scores(scores, call)
  check_package(region_packages, "A GRanges of variants")
  numbers <- scores[setdiff(names(scores), columns_of_variants)]
  regions <- GenomicRanges::GRanges(
    factor(scores$chromosome, unique(scores$chromosome)),
    IRanges::IRanges(scores$position, width = nchar(scores$ref))
  )
  GenomicRanges::mcols(regions) <- S4Vectors::DataFrame(
    REF = scores$ref, ALT = scores$alt, numbers, check.names = FALSE
  )
  names(regions) <- scores$variant
  regions
}

#' @rdname variant_scores_as_granges
#' @export
export_vcf <- function(scores, path) {
  call <- rlang::current_env()
  scores <- as_variant_scores(scores, call)
  path <- check_output_path(path)
  lines <- vcf_lines(scores)
  if (!grepl("[.]b?gz$", path)) {
    return(write_whole(path, function(temporary) write_text(lines, temporary)))
  }
  check_package("Rsamtools", "A file that is compressed as bgzip does")
  write_whole(path, function(temporary) {
    plain <- tempfile(fileext = ".vcf")
    on.exit(unlink(plain))
    write_text(lines, plain)
    Rsamtools::bgzip(plain, temporary, overwrite = TRUE)
  })
}

columns_of_variants <- c("variant", "chromosome", "position", "ref", "alt")

as_variant_scores <- function(scores, call) {
  if (is.character(scores)) {
    path <- check_file(scores, "scores", call)
    if (!any(startsWith(read_signature(path), "# seqlift score_variants"))) {
      abort_argument("scores", "a data frame of score_variants(), or a file that it wrote",
        encodeString(path, quote = "\""),
        call = call
      )
    }
    if (is_hdf5_path(path)) {
      check_package("rhdf5", "Reading an HDF5 file", call)
      return(read_hdf5_table(path))
    }
    scores <- utils::read.delim(path,
      skip = 1L, quote = "", check.names = FALSE, na.strings = "NA",
      colClasses = c(variant = "character", chromosome = "character", ref = "character",
        alt = "character"
      )
    )
  }
  missing <- setdiff(columns_of_variants, names(scores))
  if (!is.data.frame(scores) || length(missing) > 0L) {
    abort_argument("scores", "a data frame of score_variants(), or a file that it wrote",
      if (is.data.frame(scores)) paste("one without the columns", toString(missing)) else
        describe(scores),
      call = call
    )
  }
  scores
}

vcf_lines <- function(scores) {
  numbers <- scores[setdiff(names(scores), columns_of_variants)]
  # Columns of another kind are their owner's.
  numbers <- numbers[vapply(numbers, is.numeric, NA)]
  keys <- sub("^([^A-Za-z_])", "_\\1", gsub("[^A-Za-z0-9_.]", "_", names(numbers)))
  keys <- make.unique(keys, "_")
  info <- lapply(seq_along(numbers), function(k) {
    ifelse(is.na(numbers[[k]]), "", paste0(keys[k], "=", sprintf("%.9g", numbers[[k]]), ";"))
  })
  info <- if (length(info) > 0L) sub(";$", "", do.call(paste0, info)) else rep("", nrow(scores))
  c(
    "##fileformat=VCFv4.3",
    paste0("##source=seqlift ", utils::packageVersion("seqlift")),
    paste0("##contig=<ID=", unique(scores$chromosome), ">", recycle0 = TRUE),
    paste0(
      "##INFO=<ID=", keys, ",Number=1,Type=Float,Description=\"",
      gsub("[\"\\\\]", "_", names(numbers)), " (seqlift::score_variants)\">",
      recycle0 = TRUE
    ),
    paste(c("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"), collapse = "\t"),
    paste(scores$chromosome, sprintf("%d", as.integer(scores$position)), variant_ids(scores),
      scores$ref, scores$alt, ".", ".", ifelse(nzchar(info), info, "."),
      sep = "\t", recycle0 = TRUE
    )
  )
}

# The names that variants had before place and alleles told them apart.
variant_ids <- function(scores) {
  alleles <- paste0("_", scores$ref, "/", scores$alt)
  own <- as.character(scores$variant)
  own[is.na(own) | !nzchar(own)] <- "."
  told_apart <- endsWith(own, alleles)
  own[told_apart] <- substr(own, 1L, nchar(own) - nchar(alleles))[told_apart]
  placed <- told_apart & own == paste0(scores$chromosome, ":", scores$position)
  own[placed] <- "."
  gsub("[[:space:];]", "_", own)
}
