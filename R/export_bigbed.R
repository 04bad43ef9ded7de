# bigBed files, written here: rtracklayer's own writer splits names at their spaces.
#
# A header, with the places of the levels of summaries; what the columns mean (autoSql); a summary;
# the chromosomes (a B+ tree of one node); the records in compressed blocks, none across two
# chromosomes, and an R tree of the blocks, which browsers read first; each level of summaries for
# wide windows, in blocks with a tree like the records; the magic number once more. Layout: Kent et
# al. (2010), BigWig and BigBed, supplement. Numbers are little-endian.

# As bedToBigBed has them.
bigbed_records_in_block <- 512L
bigbed_blocks_in_node <- 256L
# Nodes count their entries in two bytes.
bigbed_most_chromosomes <- 65535L
# Summaries, as bedToBigBed has them: the first of windows of ten records' width, each level of
# windows four times as wide, at most ten.
bigbed_first_window <- 10
bigbed_next_window <- 4
bigbed_most_levels <- 10L

bigbed_magic <- as.raw(c(0xeb, 0xf2, 0x89, 0x87))
chromosome_tree_magic <- as.raw(c(0x91, 0x8c, 0xca, 0x78))
block_tree_magic <- as.raw(c(0xe0, 0xac, 0x68, 0x24))

u2 <- function(x) writeBin(as.integer(x), raw(), size = 2L, endian = "little")
u4 <- function(x) writeBin(as.integer(x), raw(), size = 4L, endian = "little")
f4 <- function(x) writeBin(as.double(x), raw(), size = 4L, endian = "little")
f8 <- function(x) writeBin(as.double(x), raw(), size = 8L, endian = "little")

# As two whole numbers of 32 bits; NA is the bits of 2^31.
u8 <- function(x) {
  low <- x %% 2^32
  low <- suppressWarnings(as.integer(ifelse(low >= 2^31, low - 2^32, low)))
  u4(rbind(low, as.integer(x %/% 2^32)))
}

# `records`: a data frame of chromosome, start (from 0), end, and rest (the other columns of BED,
# with tabs), at least one, sorted by the bytes of chromosome, then start; `sizes` of the
# chromosomes, named.
write_bigbed <- function(records, sizes, autosql, n_columns, path) {
  write_bytes(bigbed_bytes(records, sizes, autosql, n_columns), path)
}

bigbed_bytes <- function(records, sizes, autosql, n_columns) {
  used <- sort(unique(records$chromosome), method = "radix")
  stopifnot(nrow(records) > 0L, length(used) <= bigbed_most_chromosomes)
  id <- match(records$chromosome, used) - 1L
  depth <- coverage_depth(records, id)
  levels <- summary_levels(depth, records, sizes[used])
  described <- c(charToRaw(paste0(enc2utf8(autosql), "\n", collapse = "")), as.raw(0L))
  autosql_at <- 64 + 24 * length(levels)
  summary_at <- autosql_at + length(described)
  chromosomes_at <- summary_at + 40
  chromosomes <- chromosome_tree(used, sizes[used])
  data_at <- chromosomes_at + length(chromosomes)
  data <- bigbed_blocks(id, records$start, records$end, u8(nrow(records)), data_at, function(own) {
    heads <- matrix(u4(rbind(id[own], records$start[own], records$end[own])), 12L)
    rest <- lapply(enc2utf8(records$rest[own]), charToRaw)
    unlist(lapply(seq_along(own), function(i) c(heads[, i], rest[[i]], as.raw(0L))))
  })
  zooms <- list()
  at <- data$end_at
  for (level in levels) {
    zoom <- summary_blocks(level, at)
    at <- zoom$end_at
    zooms <- c(zooms, list(zoom))
  }
  part <- function(name) lapply(zooms, `[[`, name)
  header <- c(
    bigbed_magic, u2(c(4L, length(levels))), u8(c(chromosomes_at, data_at, data$index_at)),
    u2(c(n_columns, 6L)), u8(c(autosql_at, summary_at)),
    u4(max(data$largest, unlist(part("largest")))), u8(0),
    unlist(lapply(seq_along(zooms), function(i) {
      c(u4(c(levels[[i]]$window, 0)), u8(c(zooms[[i]]$at, zooms[[i]]$index_at)))
    }))
  )
  c(
    header, described, coverage_summary(depth), chromosomes, data$bytes, unlist(part("bytes")),
    bigbed_magic
  )
}

# Rows in compressed blocks behind `count`, none across two chromosomes, and the tree of the blocks.
# `plain(rows)`: the bytes of rows. list(bytes, at, index_at, end_at: places in the file, largest:
# bytes of a block before compression).
bigbed_blocks <- function(id, start, end, count, at, plain) {
  n <- length(id)
  first_of_chromosome <- match(id, id)
  within <- seq_len(n) - first_of_chromosome
  block <- cumsum(within %% bigbed_records_in_block == 0L)
  rows <- unname(split(seq_len(n), block))
  blocks <- lapply(rows, plain)
  largest <- max(lengths(blocks))
  # What R calls gzip here is the zlib format.
  blocks <- lapply(blocks, memCompress, type = "gzip")
  first <- vapply(rows, `[`, 1L, 1L)
  offsets <- at + length(count) + cumsum(c(0, lengths(blocks)))
  index_at <- offsets[length(offsets)]
  bounds <- data.frame(
    first_id = id[first], start = start[first], last_id = id[first],
    end = vapply(rows, function(own) max(end[own]), 0),
    offset = offsets[-length(offsets)], size = lengths(blocks)
  )
  tree <- block_tree(bounds, index_at)
  list(
    bytes = c(count, unlist(blocks), tree), at = at, index_at = index_at,
    end_at = index_at + length(tree), largest = largest
  )
}

chromosome_tree <- function(names, sizes) {
  key_size <- max(nchar(names, "bytes"))
  entries <- lapply(seq_along(names), function(i) {
    key <- charToRaw(names[i])
    c(key, raw(key_size - length(key)), u4(c(i - 1L, sizes[[i]])))
  })
  n <- length(names)
  c(
    chromosome_tree_magic, u4(c(n, key_size, 8L)), u8(c(n, 0)),
    as.raw(c(1L, 0L)), u2(n), unlist(entries)
  )
}

# How many records lie on each base: a row for each stretch of bases with as many, if any.
coverage_depth <- function(records, id) {
  place <- c(records$start, records$end)
  change <- rep(c(1, -1), each = nrow(records))
  chromosome <- c(id, id)
  sorted <- order(chromosome, place, method = "radix")
  n <- length(sorted)
  start <- as.double(place[sorted][-n])
  end <- as.double(place[sorted][-1L])
  # Behind the last end of a chromosome the depth is zero.
  depth <- cumsum(change[sorted])[-n]
  covered <- depth > 0 & end > start
  data.frame(id = chromosome[sorted][-n], start, end, depth)[covered, ]
}

# Of the depth: bases with any, smallest, largest, sum, sum of squares.
coverage_summary <- function(depth) {
  width <- depth$end - depth$start
  c(u8(sum(width)), f8(c(
    min(depth$depth), max(depth$depth), sum(width * depth$depth), sum(width * depth$depth^2)
  )))
}

# Summaries of the depth in windows, from narrow to wide: list(window, id, start, end, covered, min,
# max, sum, squares) each. A level that is not half as long as the one before saves nobody anything.
summary_levels <- function(depth, records, sizes) {
  window <- ceiling(bigbed_first_window * mean(records$end - records$start))
  # A window's width has 32 bits; one that holds a whole chromosome is wide enough.
  widest <- min(max(sizes) * bigbed_next_window, .Machine$integer.max)
  rows <- nrow(records)
  levels <- list()
  level <- NULL
  while (window <= widest && length(levels) < bigbed_most_levels) {
    level <- if (is.null(level)) depth_in_windows(depth, window) else wider_windows(level, window)
    if (length(level$id) <= rows / 2) {
      rows <- length(level$id)
      own <- level
      own$end <- pmin(own$start + window, sizes[own$id + 1L])
      levels <- c(levels, list(own))
    }
    window <- window * bigbed_next_window
  }
  levels
}

# Stretches are cut where windows meet.
depth_in_windows <- function(depth, window) {
  first <- depth$start %/% window
  pieces <- (depth$end - 1) %/% window - first + 1
  row <- rep(seq_along(pieces), pieces)
  number <- first[row] + sequence(pieces) - 1
  width <- pmin(depth$end[row], (number + 1) * window) - pmax(depth$start[row], number * window)
  value <- depth$depth[row]
  in_windows(depth$id[row], number, window, list(
    covered = width, min = value, max = value, sum = width * value, squares = width * value^2
  ))
}

wider_windows <- function(level, window) {
  in_windows(level$id, level$start %/% window, window, level[c(
    "covered", "min", "max", "sum", "squares"
  )])
}

# `id` and `number` of the window of each row, in order; what rows of one window have together.
in_windows <- function(id, number, window, values) {
  n <- length(id)
  new <- c(TRUE, id[-1L] != id[-n] | number[-1L] != number[-n])
  group <- cumsum(new)
  total <- function(x) as.vector(rowsum(x, group, reorder = FALSE))
  extreme <- function(x, decreasing) {
    sorted <- order(group, if (decreasing) -x else x, method = "radix")
    x[sorted][match(seq_len(sum(new)), group[sorted])]
  }
  list(
    window = window, id = id[new], start = number[new] * window, covered = total(values$covered),
    min = extreme(values$min, FALSE), max = extreme(values$max, TRUE),
    sum = total(values$sum), squares = total(values$squares)
  )
}

summary_blocks <- function(level, at) {
  bigbed_blocks(level$id, level$start, level$end, u4(length(level$id)), at, function(own) {
    bytes <- matrix(raw(), 32L, length(own))
    bytes[1:16, ] <- u4(with(level, rbind(id[own], start[own], end[own], covered[own])))
    bytes[17:32, ] <- f4(with(level, rbind(min[own], max[own], sum[own], squares[own])))
    as.vector(bytes)
  })
}

# Nodes of up to 256 entries, the root first, each level behind the one above.
block_tree <- function(bounds, at) {
  leaf_size <- 4 + 32 * bigbed_blocks_in_node
  inner_size <- 4 + 24 * bigbed_blocks_in_node
  levels <- list(bounds)
  while (nrow(levels[[1L]]) > bigbed_blocks_in_node) {
    levels <- c(list(bounds_of_groups(levels[[1L]])), levels)
  }
  nodes <- vapply(levels, function(level) ceiling(nrow(level) / bigbed_blocks_in_node), 0)
  node_sizes <- c(rep(inner_size, length(levels) - 1L), leaf_size)
  starts <- at + 48 + cumsum(c(0, nodes * node_sizes))
  whole <- bounds_of_groups(bounds, nrow(bounds))
  bytes <- lapply(seq_along(levels), function(k) {
    level <- levels[[k]]
    leaf <- k == length(levels)
    if (!leaf) {
      level$offset <- starts[k + 1L] + (seq_len(nrow(level)) - 1) * node_sizes[k + 1L]
    }
    group <- (seq_len(nrow(level)) - 1L) %/% bigbed_blocks_in_node
    lapply(split(level, group), tree_node, leaf = leaf, size = node_sizes[k])
  })
  c(
    block_tree_magic, u4(bigbed_blocks_in_node), u8(nrow(bounds)),
    u4(c(whole$first_id, whole$start, whole$last_id, whole$end)), u8(at), u4(c(1L, 0L)),
    unlist(bytes)
  )
}

tree_node <- function(entries, leaf, size) {
  width <- if (leaf) 32L else 24L
  own <- matrix(raw(), width, nrow(entries))
  own[1:16, ] <- u4(t(as.matrix(entries[c("first_id", "start", "last_id", "end")])))
  own[17:24, ] <- u8(entries$offset)
  if (leaf) {
    own[25:32, ] <- u8(entries$size)
  }
  bytes <- c(as.raw(c(leaf, 0L)), u2(nrow(entries)), as.vector(own))
  c(bytes, raw(size - length(bytes)))
}

# What each group of neighbours covers.
bounds_of_groups <- function(bounds, most = bigbed_blocks_in_node) {
  group <- (seq_len(nrow(bounds)) - 1L) %/% most
  parts <- lapply(split(bounds, group), function(own) {
    n <- nrow(own)
    data.frame(
      first_id = own$first_id[1L], start = own$start[1L], last_id = own$last_id[n],
      end = max(own$end[own$last_id == own$last_id[n]])
    )
  })
  do.call(rbind, unname(parts))
}
