# bigBed files, written here: rtracklayer's own writer splits names at their spaces.
#
# A header; what the columns mean (autoSql); a summary; the chromosomes (a B+ tree of one node); the
# records in compressed blocks, none across two chromosomes; and an R tree of the blocks, which
# browsers read first; the magic number once more. No levels of summaries for wide windows: readers
# take the records there. Layout: Kent et al. (2010), BigWig and BigBed, supplement. Numbers are
# little-endian.

# As bedToBigBed has them.
bigbed_records_in_block <- 512L
bigbed_blocks_in_node <- 256L
# Nodes count their entries in two bytes.
bigbed_most_chromosomes <- 65535L

bigbed_magic <- as.raw(c(0xeb, 0xf2, 0x89, 0x87))
chromosome_tree_magic <- as.raw(c(0x91, 0x8c, 0xca, 0x78))
block_tree_magic <- as.raw(c(0xe0, 0xac, 0x68, 0x24))

u2 <- function(x) writeBin(as.integer(x), raw(), size = 2L, endian = "little")
u4 <- function(x) writeBin(as.integer(x), raw(), size = 4L, endian = "little")
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
  blocks <- bigbed_blocks(records, id)
  described <- c(charToRaw(paste0(enc2utf8(autosql), "\n", collapse = "")), as.raw(0L))
  summary_at <- 64 + length(described)
  chromosomes_at <- summary_at + 40
  chromosomes <- chromosome_tree(used, sizes[used])
  data_at <- chromosomes_at + length(chromosomes)
  offsets <- data_at + 8 + cumsum(c(0, lengths(blocks$bytes)))
  index_at <- offsets[length(offsets)]
  blocks$bounds$offset <- offsets[-length(offsets)]
  blocks$bounds$size <- lengths(blocks$bytes)
  header <- c(
    bigbed_magic, u2(c(4L, 0L)), u8(c(chromosomes_at, data_at, index_at)), u2(c(n_columns, 6L)),
    u8(c(64, summary_at)), u4(blocks$largest), u8(0)
  )
  c(
    header, described, coverage_summary(records, id), chromosomes, u8(nrow(records)),
    unlist(blocks$bytes), block_tree(blocks$bounds, index_at), bigbed_magic
  )
}

# list(bytes: of each block, bounds: what it covers, largest: bytes of a block before compression).
bigbed_blocks <- function(records, id) {
  n <- length(id)
  first_of_chromosome <- match(id, id)
  within <- seq_len(n) - first_of_chromosome
  block <- cumsum(within %% bigbed_records_in_block == 0L)
  rows <- unname(split(seq_len(n), block))
  plain <- lapply(rows, function(own) {
    heads <- matrix(u4(rbind(id[own], records$start[own], records$end[own])), 12L)
    rest <- lapply(enc2utf8(records$rest[own]), charToRaw)
    unlist(lapply(seq_along(own), function(i) c(heads[, i], rest[[i]], as.raw(0L))))
  })
  first <- vapply(rows, `[`, 1L, 1L)
  list(
    # What R calls gzip here is the zlib format.
    bytes = lapply(plain, memCompress, type = "gzip"), largest = max(lengths(plain)),
    bounds = data.frame(
      first_id = id[first], start = records$start[first], last_id = id[first],
      end = vapply(rows, function(own) max(records$end[own]), 0)
    )
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

# Of how many records lie on each base: bases with any, smallest, largest, sum, sum of squares.
coverage_summary <- function(records, id) {
  place <- c(records$start, records$end)
  change <- rep(c(1, -1), each = nrow(records))
  chromosome <- c(id, id)
  sorted <- order(chromosome, place, method = "radix")
  n <- length(sorted)
  width <- place[sorted][-1L] - place[sorted][-n]
  # Behind the last end of a chromosome the depth is zero.
  depth <- cumsum(change[sorted])[-n]
  covered <- depth > 0 & width > 0
  width <- as.double(width[covered])
  depth <- depth[covered]
  c(u8(sum(width)), f8(c(min(depth), max(depth), sum(width * depth), sum(width * depth^2))))
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
