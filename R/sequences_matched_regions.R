#' Draw regions with the same GC content
#'
#' For each region, draws others of the same width and GC content from the same genome: what to
#' compare with, as a model that learns from regions with much G and C learns that too.
#'
#' Candidates are tiles of the genome outside of `regions` and `exclude`, each stretch between those
#' tiled from a random start on. Each region, in random order, gets the candidates whose number of G
#' and C is nearest to its own, random ones of those that are equal. A first round looks at a random
#' part of the tiles, the next ones at ten times as many each, up to all of the genome with five
#' different tilings. Regions of one width are drawn at once, so that many different widths
#' take long: resize them first, or take the `range` of [sequences_from()].
#'
#' @param regions A `GRanges`; the path of a BED or narrowPeak file, plain or compressed; or the
#'   `DNAStringSet` of [sequences_from()], whose ranges are taken.
#' @param genome As in [sequences_from()].
#' @param n Number of regions to draw for each region. Default 1.
#' @param tolerance Largest difference between the GC content (share of G and C among the known
#'   letters, from 0 to 1) of a region and of what is drawn for it. Default 0.02. It is never
#'   widened.
#' @param exclude A `GRanges` or the path of a BED file with parts of the genome to leave out as
#'   well, such as a blacklist; chromosomes that the genome lacks are ignored. Default `NULL`.
#' @param max_unknown Largest share of letters other than A, C, G and T in what is drawn. Default 0.
#' @param chromosomes Names of the chromosomes to draw from. `NULL` (default) takes those of the
#'   regions.
#' @param random_state Whole number from 0 to 4294967295, for the same result every time, a
#'   [random_generator()] to continue, or `NULL` (default) for a seed from R's own generator.
#' @param strict What to do with records of files that cannot be used, see [sequences_from()].
#' @return A `GRanges` with `n` ranges for each region, in the order of the regions, each with its
#'   region's width and strand, that overlap neither each other nor `regions` nor `exclude` on
#'   either strand. Its `seqinfo` is the genome's; its metadata columns are `region`, the number of
#'   the region, `gc` and `gc_region`, the GC content of both. A region without enough candidates
#'   has fewer, which a warning tells.
#' @section Errors: Those of [sequences_from()] about regions and genomes;
#'   `seqlift_error_regions` also for chromosomes that the genome lacks, for a region of unknown
#'   letters alone, and if nothing can be matched at all. `seqlift_error_argument` for another wrong
#'   argument. A `seqlift_warning_unmatched` names the first regions with fewer than `n`.
#' @seealso [dinucleotide_shuffle()] for sequences of the same composition that no genome has
#' @concept extract_matching_loci
#' @export
#' @examplesIf all(vapply(c("Biostrings", "GenomicRanges"), requireNamespace, TRUE, quietly = TRUE))
#' genome <- Biostrings::DNAStringSet(c(chr1 = decode_one_hot(
#'   random_one_hot(c(1, 4, 20000), random_state = 0)
#' )))
#' regions <- GenomicRanges::GRanges(c("chr1:1001-1100:+", "chr1:5001-5100:-"))
#' matched_regions(regions, genome, n = 2, random_state = 0)
matched_regions <- function(regions, genome, n = 1L, tolerance = 0.02, exclude = NULL,
                            max_unknown = 0, chromosomes = NULL, random_state = NULL,
                            strict = FALSE) {
  call <- rlang::current_env()
  check_flag(strict, "strict")
  n <- check_count(n, "n")
  tolerance <- check_share(tolerance, "tolerance")
  max_unknown <- check_share(max_unknown, "max_unknown")
  generator <- as_generator(random_state)
  check_package(region_packages, "Drawing regions from a genome")
  regions <- as_regions(regions, strict = strict, call = call)
  genome <- open_genome(genome, strict, call)
  check_chromosomes(regions, genome$seqinfo, "regions", genome$label, call)
  targets <- resize_regions(regions, NULL, call)
  bound_regions(targets, genome$seqinfo, "error", call)
  targets <- on_genome(targets, genome$seqinfo)
  chromosomes <- check_drawn_chromosomes(chromosomes, targets, genome$seqinfo, call)
  # Before, not within, a call of reduce(): S4 methods wrap errors in their arguments.
  exclude <- excluded_ranges(exclude, genome, strict, call)
  taken <- GenomicRanges::reduce(c(targets, exclude), ignore.strand = TRUE)
  gc <- count_bases(genome, targets, call)
  unknown <- which(gc$known == 0L)
  if (length(unknown) > 0L) {
    abort_argument("regions", "such that each has a known letter",
      paste0("one of N alone (", place_labels(targets[unknown[1L]]), ", number ", unknown[1L], ")"),
      kind = "regions", call = call
    )
  }
  open <- data.frame(region = seq_along(targets), share = gc$share, wanted = n)
  found <- targets[0L]
  for (width in sort(unique(GenomicRanges::width(targets)), decreasing = TRUE)) {
    own <- open[GenomicRanges::width(targets) == width, ]
    drawn <- match_width(genome, own, width, c(taken, found), chromosomes, tolerance, max_unknown,
      generator, call
    )
    found <- c(found, drawn)
  }
  finish_matched(found, targets, open, tolerance, call)
}

finish_matched <- function(found, targets, open, tolerance, call) {
  if (length(found) == 0L) {
    abort_seqlift("regions",
      c("The genome has no match for any of {.arg regions}.",
        i = "Draw from more {.arg chromosomes}, or widen {.arg tolerance}, {tolerance}."
      ),
      call = call
    )
  }
  found <- found[order(found$region)]
  GenomicRanges::strand(found) <- GenomicRanges::strand(targets)[found$region]
  found$gc_region <- open$share[found$region]
  short <- open$wanted - tabulate(found$region, length(targets))
  few <- which(short > 0L)
  if (length(few) > 0L) {
    places <- first_few(paste0(
      place_labels(targets[few]), " (number ", few, ", GC ", format(round(open$share[few], 3L)), ")"
    ))
    warn_seqlift("unmatched",
      c("{length(few)} of {length(targets)} regions have fewer matches than wanted;
         {sum(short)} {cli::qty(sum(short))}{?is/are} missing.",
        x = "Too few within {tolerance} of the GC content for: {places}.",
        i = "Column {.field region} tells which regions the others belong to."
      ),
      call = call
    )
  }
  found
}

check_drawn_chromosomes <- function(chromosomes, targets, known, call) {
  if (is.null(chromosomes)) {
    return(as.character(unique(GenomicRanges::seqnames(targets))))
  }
  unknown <- if (is.character(chromosomes)) setdiff(chromosomes, GenomeInfoDb::seqnames(known))
  if (!is.character(chromosomes) || length(chromosomes) == 0L || length(unknown) > 0L) {
    abort_argument("chromosomes",
      paste0("names of chromosomes of the genome (", first_few(GenomeInfoDb::seqnames(known)), ")"),
      if (is.character(chromosomes) && length(unknown) > 0L) first_few(unknown) else
        describe(chromosomes),
      kind = "regions", call = call
    )
  }
  unique(chromosomes)
}

excluded_ranges <- function(exclude, genome, strict, call) {
  none <- GenomicRanges::GRanges(seqinfo = genome$seqinfo)
  if (is.null(exclude) || (methods::is(exclude, "GRanges") && length(exclude) == 0L)) {
    return(none)
  }
  exclude <- as_regions(exclude, "exclude", strict, call)
  known <- as.character(GenomicRanges::seqnames(exclude)) %in%
    GenomeInfoDb::seqnames(genome$seqinfo)
  if (!any(known)) {
    check_chromosomes(exclude, genome$seqinfo, "exclude", genome$label, call)
  }
  exclude <- exclude[known]
  check_chromosomes(exclude, genome$seqinfo, "exclude", genome$label, call)
  GenomicRanges::trim(on_genome(exclude, genome$seqinfo))
}

# ---- drawing --------------------------------------------------------------------------

# Tiles looked at in the first round for each match wanted, at least `smallest_pool` of them.
tiles_a_match <- 50
smallest_pool <- 5000
# So many times all of the genome is tiled anew for the regions that are left.
whole_rounds <- 5L

# `wanted` matches for each row of `open` (region, share), all regions of one width: a GRanges with
# the columns region and gc, on tiles outside of `taken`.
match_width <- function(genome, open, width, taken, chromosomes, tolerance, max_unknown, generator,
                        call) {
  found <- taken[0L]
  part <- 1
  whole <- 0L
  while (sum(open$wanted) > 0L && whole < whole_rounds) {
    tiles <- random_tiles(c(taken, found), chromosomes, width, generator)
    size <- part * max(tiles_a_match * sum(open$wanted), smallest_pool)
    if (size < length(tiles)) {
      chosen <- order(random_uniform(generator, length(tiles)))[seq_len(size)]
      tiles <- tiles[sort(chosen)]
      part <- part * 10
    } else {
      whole <- whole + 1L
    }
    if (length(tiles) == 0L) {
      break
    }
    gc <- count_bases(genome, tiles, call)
    clean <- gc$known > 0L & width - gc$known <= max_unknown * width
    tiles <- tiles[clean]
    demand <- rep(seq_len(nrow(open)), open$wanted)
    demand <- demand[order(random_uniform(generator, length(demand)))]
    shuffled <- order(random_uniform(generator, length(tiles)))
    share <- gc$share[clean][shuffled]
    match <- nearest_shares(open$share[demand], share, tolerance, width)
    hit <- which(!is.na(match))
    drawn <- tiles[shuffled[match[hit]]]
    drawn$region <- open$region[demand[hit]]
    drawn$gc <- share[match[hit]]
    found <- c(found, drawn)
    open$wanted <- open$wanted - tabulate(demand[hit], nrow(open))
  }
  found
}

# For each number of `wanted` a number of `offered` of its own, as near as there are, none beyond
# `tolerance`; NA where there is none left. Shares of `width` letters: pairs with equal counts are
# made first, then those with one more, one fewer, two fewer, two more and so on, so that neither
# side is preferred. Within a count, the order given decides.
nearest_shares <- function(wanted, offered, tolerance, width) {
  match <- rep(NA_integer_, length(wanted))
  wanted_count <- round(wanted * width)
  # Positions of what is left, by count.
  offers <- split(seq_along(offered), factor(round(offered * width), 0:width))
  left <- lengths(offers)
  used <- integer(length(left))
  farthest <- floor(tolerance * width) + 1
  steps <- seq_len(farthest)
  side <- ifelse(steps %% 2 == 1, 1, -1)
  shifts <- c(0, rbind(side * steps, -side * steps))
  for (shift in shifts) {
    open <- which(is.na(match) & wanted_count + shift >= 0 & wanted_count + shift <= width)
    for (count in intersect(unique(wanted_count[open] + shift), which(left > used) - 1)) {
      own <- open[wanted_count[open] + shift == count]
      slot <- count + 1
      pool <- offers[[slot]]
      pool <- pool[seq.int(used[slot] + 1L, left[slot])]
      pairs <- seq_len(min(length(own), length(pool)))
      # Counts are rounded where letters are unknown.
      distance <- abs(wanted[own[pairs]] - offered[pool[pairs]])
      near <- distance <= tolerance + sqrt(.Machine$double.eps)
      match[own[pairs][near]] <- pool[pairs][near]
      offers[[slot]] <- c(offers[[slot]][seq_len(used[slot])], pool[pairs][near],
        setdiff(pool, pool[pairs][near]))
      used[slot] <- used[slot] + sum(near)
    }
  }
  match
}

# All of the chromosomes outside of `taken` in tiles, each stretch from a random start on.
random_tiles <- function(taken, chromosomes, width, generator) {
  GenomicRanges::strand(taken) <- "*"
  free <- GenomicRanges::gaps(GenomicRanges::reduce(GenomicRanges::granges(taken)))
  free <- free[as.logical(GenomicRanges::strand(free) == "*") &
    as.character(GenomicRanges::seqnames(free)) %in% chromosomes]
  free <- free[GenomicRanges::width(free) >= width]
  size <- GenomicRanges::width(free)
  # The rest that no tile fills is before the first and behind the last.
  slack <- pmin(width, size - width + 1L)
  start <- floor(random_uniform(generator, length(free)) * slack)
  n_tiles <- (size - start) %/% width
  row <- rep(seq_along(free), n_tiles)
  first <- GenomicRanges::start(free)[row] + start[row] + (sequence(n_tiles) - 1) * width
  GenomicRanges::GRanges(
    GenomicRanges::seqnames(free)[row], IRanges::IRanges(as.integer(first), width = width),
    seqinfo = GenomeInfoDb::seqinfo(free)
  )
}

# n numbers from 0 to 1 (never 1) of the stream: seven letters of an alphabet of 128 make one.
random_uniform <- function(generator, n) {
  if (n == 0L) {
    return(numeric())
  }
  digits <- 7L
  base <- 128L
  drawn <- core_random_letters(generator$state, base, digits, as.integer(n))
  generator$state <- drawn$state
  codes <- matrix(as.integer(drawn$codes), digits)
  colSums(codes * as.numeric(base)^-seq_len(digits))
}

# Of each range the number of known letters and the share of G and C among them.
count_bases <- function(genome, ranges, call) {
  known <- integer(length(ranges))
  gc <- integer(length(ranges))
  chromosome <- as.character(GenomicRanges::seqnames(ranges))
  lengths <- GenomeInfoDb::seqlengths(genome$seqinfo)
  for (one in unique(chromosome)) {
    own <- which(chromosome == one)
    letters <- letters_of_ranges(genome, ranges[own], lengths[[one]], call)
    counts <- Biostrings::letterFrequency(letters, c("CG", "AT"))
    gc[own] <- counts[, 1L]
    known[own] <- rowSums(counts)
  }
  list(known = known, share = gc / pmax(known, 1L))
}

# Ranges of one chromosome; it is read whole where they cover much of it, as reading many small
# pieces is slow.
letters_of_ranges <- function(genome, ranges, length, call) {
  much <- 0.1
  if (sum(as.numeric(GenomicRanges::width(ranges))) < much * length) {
    return(read_genome(genome, ranges, call))
  }
  whole <- GenomicRanges::GRanges(
    as.character(GenomicRanges::seqnames(ranges))[1L], IRanges::IRanges(1L, length)
  )
  Biostrings::extractAt(read_genome(genome, whole, call)[[1L]], GenomicRanges::ranges(ranges))
}
