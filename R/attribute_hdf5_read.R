# Reading attributions from an HDF5 file in the layout that attribute_hdf5.R describes: of the whole
# file what it holds, of its numbers the rows that are asked for.

# What a file holds, without its numbers: list(path, datasets (name -> shape, sequences first),
# kind, dataset (where the values are), shape, names, settings).
open_h5 <- function(path, call) {
  path <- check_file(path, "path", call)
  check_package("rhdf5", "Reading an HDF5 file", call)
  refuse <- function(problem) {
    abort_seqlift("file", paste0("The file {.path {path}} ", problem, "."), call = call)
  }
  if (!isTRUE(suppressMessages(rhdf5::H5Fis_hdf5(path, showWarnings = FALSE)))) {
    refuse("is not an HDF5 file")
  }
  datasets <- rlang::try_fetch(list_datasets(path),
    seqlift_h5_refused = function(error) refuse(escape_braces(conditionMessage(error))),
    error = function(error) {
      abort_seqlift("file", "The file {.path {path}} could not be read: it is damaged.",
        parent = error, call = call
      )
    }
  )
  values <- intersect(c(own("values"), "shap/seq", "projected_shap/seq"), names(datasets))
  if (!"raw/seq" %in% names(datasets) || length(values) == 0L) {
    refuse("holds no attributions: it must have {.field raw/seq} and {.field shap/seq} or
            {.field projected_shap/seq}")
  }
  shape <- datasets[[values[1L]]]
  raw <- datasets[["raw/seq"]]
  fits <- length(shape) >= 3L && length(raw) == 3L && raw[2L] == n_bases && raw[1L] == shape[1L] &&
    (startsWith(values[1L], own_group) || identical(shape, raw))
  if (!fits) {
    refuse(paste0(
      "must hold arrays (n, 4, L), but {.field raw/seq} is (", toString(raw), ") and {.field ",
      values[1L], "} is (", toString(shape), ")"
    ))
  }
  if (any(shape == 0L)) {
    refuse("holds no sequence")
  }
  settings <- if (own("names") %in% names(datasets) || attr(datasets, "group")) {
    lapply(rhdf5::h5readAttributes(path, own_group), as.vector)
  }
  names <- if (own("names") %in% names(datasets)) read_strings(path, own("names"))
  list(
    path = normalizePath(path), datasets = datasets, dataset = values[1L], shape = shape,
    kind = settings$kind %||% if (values[1L] == "shap/seq") "hypothetical" else "attributions",
    names = names, settings = settings
  )
}

# What of the layout's data sets there is: their shapes by name, sequences first; attribute `group`:
# whether our own is there.
list_datasets <- function(path) {
  file <- open_h5_file(path)
  on.exit(rhdf5::H5Fclose(file))
  there <- Filter(function(name) has_h5_object(file, name), layout_datasets)
  shapes <- lapply(stats::setNames(there, there), function(name) {
    data <- open_h5_data(file, name, path)
    space <- rhdf5::H5Dget_space(data)
    on.exit({
      rhdf5::H5Sclose(space)
      rhdf5::H5Dclose(data)
    })
    rev(as.integer(rhdf5::H5Sget_simple_extent_dims(space)$size))
  })
  structure(shapes, group = has_h5_object(file, own_group))
}

layout_datasets <- c(
  "raw/seq", "shap/seq", "projected_shap/seq",
  own(c(
    "values", "convergence_deltas", "references", "standard_errors", "names", "chrom", "start",
    "end", "strand",
    "genome_chrom", "genome_length", "genome_assembly"
  ))
)

read_strings <- function(path, name) {
  strings <- as.vector(rhdf5::h5read(path, name))
  Encoding(strings) <- "UTF-8"
  strings
}

# Rows of a dataset in R's order of dimensions; HDF5 reads rows in order, each once.
read_rows <- function(stored, name, rows, call = caller_env()) {
  sorted <- sort(unique(rows))
  rank <- length(stored$datasets[[name]])
  index <- c(rep(list(NULL), rank - 1L), list(sorted))
  values <- rlang::try_fetch(
    suppressMessages(rhdf5::h5read(stored$path, name, index = index)),
    error = function(error) {
      abort_seqlift("file",
        c("The data {.field {name}} in {.path {stored$path}} could not be read.",
          i = "They are damaged, or compressed in a way for which this R has no filter (rhdf5filters
               brings blosc, bzip2 and LZF)."
        ),
        parent = error, call = call
      )
    }
  )
  values <- aperm(values, rev(seq_len(rank)))
  if (identical(as.integer(rows), as.integer(sorted))) {
    return(values)
  }
  take_outputs(values, 1L, match(rows, sorted))
}

# A `seqlift_attributions` of these rows.
read_h5_rows <- function(stored, rows, call = caller_env()) {
  values <- read_rows(stored, stored$dataset, rows, call)
  storage.mode(values) <- "double"
  raw <- read_rows(stored, "raw/seq", rows, call)
  storage.mode(raw) <- "double"
  codes <- as_sequences(raw, "raw/seq", call) |> sequence_codes()
  colnames(codes) <- stored$names[rows]
  kept <- if (own("references") %in% names(stored$datasets)) {
    read_rows(stored, own("references"), rows, call) |> name_channels(stored$names[rows])
  }
  attributions <- new_attributions(values, codes, read_deltas(stored, rows, call),
    references = kept, kind = stored$kind, info = info_of_stored(stored),
    standard_errors = read_errors(stored, rows, call)
  )
  attr(attributions, "ranges") <- read_ranges(stored, rows)
  attributions
}

read_deltas <- function(stored, rows, call = caller_env()) {
  if (own("convergence_deltas") %in% names(stored$datasets)) {
    deltas <- read_rows(stored, own("convergence_deltas"), rows, call)
    return(name_rows(deltas, stored$names[rows]))
  }
  rank <- length(stored$shape)
  n_targets <- if (rank == 4L && stored$kind != "multipliers") stored$shape[4L]
  array(0, c(length(rows), 0L, n_targets))
}

# NULL where the file has none.
read_errors <- function(stored, rows, call = caller_env()) {
  if (own("standard_errors") %in% names(stored$datasets)) {
    errors <- read_rows(stored, own("standard_errors"), rows, call)
    storage.mode(errors) <- "double"
    errors
  }
}

read_ranges <- function(stored, rows) {
  if (!own("chrom") %in% names(stored$datasets)) {
    return(NULL)
  }
  check_package("GenomicRanges", "Reading the regions of the sequences")
  column <- function(name) as.vector(rhdf5::h5read(stored$path, own(name)))
  lengths <- column("genome_length")
  assembly <- column("genome_assembly")
  seqinfo <- GenomeInfoDb::Seqinfo(column("genome_chrom"),
    seqlengths = ifelse(lengths == 0L, NA, lengths),
    genome = ifelse(nzchar(assembly), assembly, NA)
  )
  GenomicRanges::GRanges(
    column("chrom")[rows], IRanges::IRanges(column("start")[rows], column("end")[rows]),
    strand = column("strand")[rows], seqinfo = seqinfo
  )
}

info_of_stored <- function(stored) {
  info <- settings_under(stored, "info")
  if (length(info) > 0L) info else list(method = paste("read from", basename(stored$path)))
}

# Those settings.
settings_under <- function(stored, group) {
  settings <- as.list(stored$settings)
  settings <- settings[startsWith(as.character(names(settings)), paste0(group, "."))]
  stats::setNames(settings, substring(names(settings), nchar(group) + 2L))
}
