# Patterns in the HDF5 layout of tfmodisco-lite, as numpy sees it:
#
#   attribute window_size                    how much of each sequence was searched
#   pos_patterns, neg_patterns / pattern_k   k = 0, 1, ... by falling number of seqlets
#     sequence, contrib_scores, hypothetical_contribs   float64 (width, 4)
#     seqlets / n_seqlets (1,); start, end, example_idx, is_revcomp (n,)
#               sequence, contrib_scores, hypothetical_contribs (n, width, 4), where they are known
#     subpattern_j                           the same again
#
# Positions count from 0 in the window, ends are exclusive. Of seqlets with is_revcomp the matrices
# are those of the reverse complement; start and end are always on the sequence's own strand.

modisco_groups <- c(positive = "pos_patterns", negative = "neg_patterns")
modisco_matrices <- c(
  ppm = "sequence", contributions = "contrib_scores", hypothetical = "hypothetical_contribs"
)

# ---- reading --------------------------------------------------------------------------------

read_modisco_h5 <- function(path, call) {
  check_package("rhdf5", "Reading an HDF5 file", call)
  refuse <- function(problem) {
    abort_seqlift("file",
      c(paste0("The file {.path {path}} ", problem, "."), i = motif_file_hint),
      call = call
    )
  }
  rlang::try_fetch(read_modisco_patterns(path),
    seqlift_h5_refused = function(error) refuse(escape_braces(conditionMessage(error))),
    error = function(error) {
      if (inherits(error, "seqlift_error")) {
        rlang::cnd_signal(error)
      }
      abort_seqlift("file",
        c("The file {.path {path}} could not be read.",
          i = "It is damaged, or compressed in a way for which this R has no filter (rhdf5filters
               brings blosc, bzip2 and LZF)."
        ),
        parent = error, call = call
      )
    }
  )
}

read_modisco_patterns <- function(path) {
  file <- open_h5_file(path)
  on.exit(rhdf5::H5Fclose(file))
  is_there <- vapply(modisco_groups, function(name) has_h5_object(file, name), NA)
  if (!any(is_there)) {
    stop_h5("holds no patterns of TF-MoDISco: it has neither pos_patterns nor neg_patterns")
  }
  patterns <- unlist(lapply(names(modisco_groups)[is_there], function(sign) {
    group <- modisco_groups[[sign]]
    lapply(numbered_children(file, group, "pattern_"), function(name) {
      read_modisco_pattern(file, paste0(group, "/", name), sign, path)
    })
  }), recursive = FALSE)
  if (length(patterns) == 0L) {
    stop_h5("holds no pattern: the groups of TF-MoDISco are empty")
  }
  window <- if (rhdf5::H5Aexists(file, "window_size")) {
    attribute <- rhdf5::H5Aopen(file, "window_size")
    on.exit(rhdf5::H5Aclose(attribute), add = TRUE, after = FALSE)
    as.numeric(rhdf5::H5Aread(attribute))
  }
  settings <- Filter(length, list(
    method = paste("read from", basename(path)), path = path, window = window,
    n_patterns = length(patterns)
  ))
  new_motifs(stats::setNames(patterns, vapply(patterns, function(one) one$name, "")), settings)
}

# Groups by their numbers, not as text: pattern_10 comes after pattern_9.
numbered_children <- function(file, group, prefix) {
  at <- open_h5_group(file, group)
  on.exit(rhdf5::H5Gclose(at))
  names <- as.character(rhdf5::h5ls(at, recursive = FALSE)$name)
  names <- grep(paste0("^", prefix, "[0-9]+$"), names, value = TRUE)
  names[order(as.numeric(substring(names, nchar(prefix) + 1L)))]
}

read_modisco_pattern <- function(file, at, sign, path) {
  matrices <- lapply(modisco_matrices, function(name) {
    values <- read_h5_values(file, paste0(at, "/", name), path)
    if (length(dim(values)) != 2L || dim(values)[1L] != n_bases || length(values) == 0L ||
      !all(is.finite(values))) {
      stop_h5("must hold finite numbers of shape (width, 4) in ", at, "/", name)
    }
    matrix(t(values), ncol = n_bases, dimnames = list(NULL, base_letters))
  })
  if (length(unique(lapply(matrices, dim))) > 1L) {
    stop_h5("holds matrices of different widths in ", at)
  }
  subpatterns <- numbered_children(file, at, "subpattern_")
  list(
    name = gsub("/", ".", at, fixed = TRUE), sign = sign, ppm = matrices$ppm,
    contributions = matrices$contributions, hypothetical = matrices$hypothetical,
    seqlets = read_modisco_seqlets(file, paste0(at, "/seqlets"), path),
    subpatterns = lapply(stats::setNames(subpatterns, subpatterns), function(name) {
      read_modisco_pattern(file, paste0(at, "/", name), sign, path)
    })
  )
}

# Files that were converted from the original TF-MoDISco have the number of a subpattern's seqlets
# alone: a table of no rows.
read_modisco_seqlets <- function(file, at, path) {
  names <- c(example = "example_idx", start = "start", end = "end", reverse = "is_revcomp")
  there <- vapply(names, function(name) has_h5_object(file, paste0(at, "/", name)), NA)
  if (!all(there)) {
    return(modisco_seqlet_table(integer(), integer(), integer(), logical(), numeric()))
  }
  columns <- lapply(names, function(name) {
    as.vector(read_h5_values(file, paste0(at, "/", name), path))
  })
  reverse <- columns$reverse
  columns$reverse <- if (is.numeric(reverse)) reverse != 0 else as.character(reverse) == "TRUE"
  check_modisco_seqlets(columns, at)
  attribution <- modisco_attributions(file, paste0(at, "/contrib_scores"), path,
    length(columns$example)
  )
  modisco_seqlet_table(
    columns$example + 1, columns$start + 1, columns$end, columns$reverse, attribution
  )
}

check_modisco_seqlets <- function(columns, at) {
  whole <- function(x) {
    is.numeric(x) && all(is.finite(x)) && all(x == trunc(x)) && all(x >= 0 & x < 2^31 - 1)
  }
  if (length(unique(lengths(columns))) > 1L || !all(vapply(columns[1:3], whole, NA)) ||
    anyNA(columns$reverse) || any(columns$end <= columns$start)) {
    stop_h5("must hold numbers of at least 0, one for each seqlet and no end before its start, in ",
      at)
  }
}

# Of each of `n` seqlets the sum of its scores, NA where there are none.
modisco_attributions <- function(file, name, path, n) {
  if (has_h5_object(file, name)) {
    values <- read_h5_values(file, name, path)
    if (length(dim(values)) == 3L && dim(values)[3L] == n) {
      return(colSums(values, dims = 2L))
    }
  }
  rep(NA_real_, n)
}

modisco_seqlet_table <- function(example, start, end, reverse, attribution) {
  data.frame(
    example = as.integer(example), start = as.integer(start), end = as.integer(end),
    attribution = attribution, p_value = rep(NA_real_, length(example)),
    strand = c("+", "-")[1L + reverse]
  )
}

# In R's order of dimensions, that is the file's the other way round.
read_h5_values <- function(file, name, path) {
  data <- open_h5_data(file, name, path)
  on.exit(rhdf5::H5Dclose(data))
  suppressMessages(rhdf5::H5Dread(data, bit64conversion = "double"))
}

# ---- writing --------------------------------------------------------------------------------

# `cut`: the arrays of a table of seqlets (see seqlet_arrays()), or NULL.
write_modisco_h5 <- function(motifs, path, window, cut) {
  check_room(path, h5_overhead + sum(vapply(unclass(motifs), bytes_of_pattern, 0, !is.null(cut))))
  rhdf5::h5createFile(path)
  file <- rhdf5::H5Fopen(path)
  on.exit(rhdf5::H5Fclose(file))
  if (!is.null(window)) {
    rhdf5::h5writeAttribute(as.integer(window), file, "window_size", asScalar = TRUE)
  }
  patterns <- unclass(motifs)
  signs <- vapply(patterns, function(pattern) pattern$sign, "")
  for (sign in intersect(names(modisco_groups), signs)) {
    group <- modisco_groups[[sign]]
    make_h5_group(file, group)
    own <- patterns[signs == sign]
    # The peers' readers count them.
    for (i in seq_along(own)) {
      write_modisco_pattern(file, own[[i]], paste0(group, "/pattern_", i - 1L), cut)
    }
  }
}

write_modisco_pattern <- function(file, pattern, at, cut) {
  make_h5_group(file, at)
  for (name in names(modisco_matrices)) {
    write_h5_values(file, paste0(at, "/", modisco_matrices[[name]]), t(unname(pattern[[name]])))
  }
  seqlets <- pattern$seqlets
  within <- paste0(at, "/seqlets/")
  make_h5_group(file, paste0(at, "/seqlets"))
  write_h5_values(file, paste0(within, "n_seqlets"), array(nrow(seqlets)), "H5T_STD_I64LE")
  if (nrow(seqlets) > 0L) {
    columns <- list(
      start = seqlets$start - 1L, end = seqlets$end, example_idx = seqlets$example - 1L
    )
    for (name in names(columns)) {
      write_h5_values(file, paste0(within, name), array(columns[[name]]), "H5T_STD_I64LE")
    }
    write_h5_values(file, paste0(within, "is_revcomp"), array(as.integer(seqlets$strand == "-")),
      "H5T_STD_I8LE"
    )
    arrays <- if (!is.null(cut)) cut(seqlets)
    for (name in names(arrays)) {
      write_h5_values(file, paste0(within, modisco_matrices[[name]]), arrays[[name]])
    }
  }
  for (i in seq_along(pattern$subpatterns)) {
    write_modisco_pattern(file, pattern$subpatterns[[i]], paste0(at, "/subpattern_", i - 1L), cut)
  }
}

# At most, with the headers of its groups and data sets.
bytes_of_pattern <- function(pattern, with_arrays) {
  n <- nrow(pattern$seqlets)
  widths <- if (with_arrays && n > 0L) pattern$seqlets$end[1L] - pattern$seqlets$start[1L] + 1
  2^14 + 8 * 3 * length(pattern$ppm) + 25 * n + 8 * 3 * n_bases * n * sum(widths) +
    sum(vapply(pattern$subpatterns, bytes_of_pattern, 0, with_arrays))
}

make_h5_group <- function(file, name) {
  rhdf5::H5Gclose(rhdf5::H5Gcreate(file, name))
}

write_h5_values <- function(file, name, values, type = "H5T_IEEE_F64LE") {
  space <- rhdf5::H5Screate_simple(dim(values))
  on.exit(rhdf5::H5Sclose(space))
  data <- rhdf5::H5Dcreate(file, name, type, space)
  on.exit(rhdf5::H5Dclose(data), add = TRUE, after = FALSE)
  rhdf5::H5Dwrite(data, values)
}

# A function that cuts what is known of seqlets out of hypothetical attributions [n, 4, L]: arrays
# [4, width, seqlets], turned round for those of the other strand. `offset`: of the window's first
# position from the sequence's.
seqlet_arrays <- function(attributions, offset) {
  values <- as.array(attributions)
  codes <- result_codes(attributions)
  function(seqlets) {
    width <- seqlets$end[1L] - seqlets$start[1L] + 1L
    shape <- c(n_bases, width, nrow(seqlets))
    ppm <- array(0, shape)
    hypothetical <- array(0, shape)
    for (i in seq_len(nrow(seqlets))) {
      at <- seq(seqlets$start[i], seqlets$end[i]) + offset
      own <- values[seqlets$example[i], seq_len(n_bases), at]
      bases <- outer(0:3, as.integer(codes[at, seqlets$example[i]]), `==`) * 1
      turned <- seqlets$strand[i] == "-"
      hypothetical[, , i] <- if (turned) own[n_bases:1, width:1] else own
      ppm[, , i] <- if (turned) bases[n_bases:1, width:1] else bases
    }
    list(ppm = ppm, contributions = ppm * hypothetical, hypothetical = hypothetical)
  }
}
