# What a page was made from, in the page: so that the code that it prints runs. Values are text,
# numbers, tables and lists of these, written as JSON, compressed, in base64; reading them back runs
# nothing.

# The element of the page that holds them.
report_inputs_mark <- "seqlift-report-inputs"

#' Read what a report was made from
#'
#' A page of [attribution_report()] holds its inputs: the sequences with their places in the genome,
#' and what was given beside them. The code at the end of the page reads them with this function and
#' makes the page again. Reading runs no code of the page.
#'
#' @param path Path of an HTML file that [attribution_report()] wrote.
#' @return A list: `X`, the sequences, and those of `args`, `model_args` (inputs that
#'   [with_args()] had filled in with arrays), `references`, `attributions`, `annotations`, `motifs`
#'   and `variants` that the report was given, in a form that the functions take. Motifs are the
#'   letters that were tried.
#' @section Errors: `seqlift_error_file` for a file that is missing, no report, or damaged;
#'   `seqlift_error_package` without jsonlite, and for sequences with places in the genome without
#'   Biostrings and GenomicRanges.
#' @seealso [attribution_report()]
#' @export
#' @examplesIf requireNamespace("rmarkdown", quietly = TRUE) && rmarkdown::pandoc_available("2.0")
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' path <- tempfile(fileext = ".html")
#' attribution_report(model, demo_sequences()[5], path, n_shuffles = 2, random_state = 0)
#' inputs <- report_inputs(path)
#' names(inputs$X)
report_inputs <- function(path) {
  path <- check_file(check_string(path, "path"), "path")
  check_package("jsonlite", "Reading the inputs of a report")
  refuse <- function(problem) {
    abort_seqlift("file", paste0("The file {.path {path}} ({.arg path}) ", problem, "."),
      call = rlang::call2("report_inputs")
    )
  }
  text <- marked_text(readBin(path, "raw", file.size(path)))
  if (is.null(text)) {
    refuse("is no page of {.fn attribution_report}, or one without its inputs")
  }
  tryCatch(
    {
      json <- memDecompress(jsonlite::base64_dec(text), "gzip", asChar = TRUE)
      Encoding(json) <- "UTF-8"
      unpack_value(jsonlite::parse_json(json))
    },
    error = function(error) {
      if (inherits(error, "seqlift_error")) stop(error)
      refuse("holds inputs that are damaged")
    }
  )
}

# What stands in the element of the inputs, of a page's bytes; NULL where there is none.
marked_text <- function(bytes) {
  place <- function(what, from) grepRaw(what, bytes, offset = from, fixed = TRUE)
  mark <- place(paste0("id=\"", report_inputs_mark, "\""), 1L)
  start <- if (length(mark) > 0L) place(">", mark)
  end <- if (length(start) > 0L) place("</script>", start)
  if (length(end) > 0L) rawToChar(bytes[seq(start + 1L, length.out = end - start - 1L)])
}

# The inputs of a job of attribution_report(), as report_inputs() gives them.
inputs_of_report <- function(job) {
  sequences <- job$sequences
  letters <- core_decode(sequence_letters(sequences), paste(base_letters, collapse = ""))
  X <- if (sequences$channels > n_bases) job$X else stats::setNames(letters, sequences$names)
  known <- job$known
  if (!is.null(known)) {
    own <- if (!anyNA(known$row)) known$row
    known <- data.frame(start = known$start, end = known$end, name = known$label)
    known$sequence <- own
  }
  arrays <- Filter(function(value) length(value) > 1L, job$model$args)
  inputs <- list(
    X = if (is.null(sequences$ranges)) X else place_sequences(X, sequences$ranges),
    args = job$args, model_args = if (length(arrays) > 0L) arrays,
    references = if (is.array(job$references)) job$references,
    attributions = job$attributions, annotations = known,
    motifs = if (!is.null(job$motifs)) stats::setNames(job$motifs$letters, job$motifs$names),
    variants = job$variants[c("example", "position", "ref", "alt", "variant")]
  )
  inputs[lengths(inputs) > 0L]
}

place_sequences <- function(letters, ranges) {
  check_package(c("Biostrings", "GenomicRanges"), "Sequences with places in the genome")
  X <- Biostrings::DNAStringSet(letters)
  S4Vectors::mcols(X)$range <- ranges
  X
}

# The element, for a page that is written.
inputs_element <- function(inputs) {
  json <- jsonlite::toJSON(pack_value(inputs), auto_unbox = TRUE, null = "null", na = "null")
  bytes <- memCompress(charToRaw(enc2utf8(as.character(json))), "gzip")
  paste0(
    "<script type=\"application/octet-stream\" id=\"", report_inputs_mark, "\">",
    gsub("\n", "", jsonlite::base64_enc(bytes)), "</script>"
  )
}

# ---- values as JSON ------------------------------------------------------------------

# A value as a list of a `type` and what belongs to it.
pack_value <- function(x) {
  if (inherits(x, "seqlift_attributions")) {
    return(list(type = "attributions", parts = pack_value(list(
      values = plain_numbers(x), X = attr(x, "X", exact = TRUE),
      deltas = convergence_deltas(x), kind = attr(x, "kind", exact = TRUE),
      info = Filter(is.atomic, attr(x, "info", exact = TRUE)),
      ranges = attr(x, "ranges", exact = TRUE)
    ))))
  }
  if (is_biostrings(x)) {
    return(list(type = "sequences", parts = pack_value(list(
      letters = stats::setNames(as.character(x), names(x)), ranges = S4Vectors::mcols(x)$range
    ))))
  }
  if (inherits(x, "GRanges")) {
    return(list(type = "ranges", parts = pack_value(as.list(range_places(x)[range_fields]))))
  }
  if (is.null(x)) {
    return(list(type = "null"))
  }
  if (is.list(x)) {
    type <- if (is.data.frame(x)) "table" else "list"
    items <- lapply(unname(as.list(x)), pack_value)
    return(list(type = type, names = I(as.character(names(x))), items = items))
  }
  shape <- list(
    dim = pack_numbers(dim(x)), dimnames = pack_value(unname(dimnames(x))),
    names = if (is.null(dim(x))) I(as.character(names(x)))
  )
  if (is.character(x)) {
    return(c(list(type = "text", values = I(as.character(x))), shape))
  }
  c(list(type = typeof(x), values = pack_numbers(x)), shape)
}

range_fields <- c("seqnames", "start", "end", "strand")

# Every bit, whatever R prints of a number.
pack_numbers <- function(x) {
  x <- if (is.raw(x)) as.integer(x) else x
  gsub("\n", "", jsonlite::base64_enc(writeBin(as.double(x), raw(), endian = "little")))
}

unpack_numbers <- function(text) {
  bytes <- jsonlite::base64_dec(text)
  readBin(bytes, "double", length(bytes) %/% 8L, endian = "little")
}

unpack_value <- function(packed) {
  switch(packed$type,
    null = NULL,
    attributions = unpack_attributions(unpack_value(packed$parts)),
    sequences = unpack_sequences(unpack_value(packed$parts)),
    ranges = unpack_ranges(unpack_value(packed$parts)),
    list = ,
    table = {
      items <- lapply(packed$items, unpack_value)
      names(items) <- if (length(packed$names) > 0L) unlist(packed$names)
      if (packed$type == "table") as.data.frame(items, optional = TRUE) else items
    },
    text = with_shape(unpack_text(packed$values), packed),
    double = with_shape(unpack_numbers(packed$values), packed),
    integer = with_shape(as.integer(unpack_numbers(packed$values)), packed),
    logical = with_shape(as.logical(unpack_numbers(packed$values)), packed),
    raw = with_shape(as.raw(unpack_numbers(packed$values)), packed),
    stop("unknown type")
  )
}

unpack_text <- function(values) {
  vapply(values, function(one) if (is.null(one)) NA_character_ else one, "")
}

with_shape <- function(values, packed) {
  shape <- unpack_numbers(packed$dim)
  if (length(shape) > 0L) {
    dim(values) <- shape
    dimnames(values) <- unpack_value(packed$dimnames)
  }
  if (length(packed$names) > 0L) {
    names(values) <- unlist(packed$names)
  }
  values
}

unpack_attributions <- function(parts) {
  new_attributions(parts$values, parts$X, parts$deltas,
    kind = parts$kind, info = parts$info, ranges = parts$ranges
  )
}

unpack_sequences <- function(parts) place_sequences(parts$letters, parts$ranges)

unpack_ranges <- function(fields) {
  check_package("GenomicRanges", "Sequences with places in the genome")
  GenomicRanges::GRanges(
    fields$seqnames, IRanges::IRanges(fields$start, fields$end), fields$strand
  )
}
