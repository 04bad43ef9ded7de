# Choose the windows of demo_sequences() and write inst/extdata/demo_sequences.fa and
# demo_sites.tsv.
#
#   Rscript data-raw/make_demo_sequences.R
#
# All windows come from what the demo model never saw: the upstream regions on chromosome
# 3R of Drosophila melanogaster (dm3) and chromosome I of yeast, both in Biostrings.

suppressMessages(library(Biostrings))

window_length <- 500L
# The model's profile covers all but this many bases at each end.
trimming <- 50L
# As in train_demo_model.py: base composition of the background, and the log-odds (nats) at
# which a match of the matrix is occupied half of the time.
background <- c(A = 0.29, C = 0.21, G = 0.21, T = 0.29)
half_occupied <- 6.5
# Columns 3 to 9 of MA0036.3 are the site itself (CTTATCT); the others hardly differ from
# background.
core <- 3:9

root <- dirname(dirname(normalizePath(sub("^--file=", "", grep(
  "^--file=", commandArgs(),
  value = TRUE
)))))

counts <- as.matrix(read.delim(file.path(root, "data-raw", "MA0036.3.tsv"))) + 1
# Turned round, so that a site on the plus strand reads AGATAAG.
log_odds <- reverseComplement(t(log(sweep(counts / rowSums(counts), 2, background, "/"))))
core <- nrow(counts) + 1L - rev(core)

# Every match of at least `least`, as rows (start, end) of the core, with its log-odds.
find_sites <- function(text, least = half_occupied) {
  sequence <- DNAString(text)
  one_strand <- function(matrix, columns, strand) {
    starts <- seq_len(nchar(text) - ncol(matrix) + 1L)
    scores <- as.vector(PWMscoreStartingAt(matrix, sequence, starting.at = starts))
    hits <- which(scores >= least)
    start <- hits + columns[1L] - 1L
    end <- start + length(columns) - 1L
    words <- DNAStringSet(substring(rep(text, length(hits)), start, end))
    data.frame(
      start = start, end = end, strand = rep(strand, length(hits)),
      name = as.character(if (strand == "-") reverseComplement(words) else words),
      log_odds = round(scores[hits], 2)
    )
  }
  opposite <- ncol(log_odds) + 1L - rev(core)
  sites <- rbind(
    one_strand(log_odds, core, "+"),
    one_strand(reverseComplement(log_odds), opposite, "-")
  )
  sites[order(sites$start), ]
}

# ---- candidates ----------------------------------------------------------------------

fly_windows <- function() {
  path <- system.file("extdata", "dm3_upstream2000.fa.gz", package = "Biostrings")
  regions <- readDNAStringSet(path)
  regions <- regions[grepl("chr3R:", names(regions)) & width(regions) == 2000L]
  regions <- regions[!duplicated(sub(".* ", "", names(regions)))]
  regions <- regions[letterFrequency(regions, "N")[, 1L] == 0]
  locus <- sub(".* chr3R:", "", names(regions))
  first <- as.integer(sub("-.*", "", locus))
  last <- as.integer(sub(".*-", "", locus))
  reverse <- grepl("_r ", names(regions), fixed = TRUE)
  offset <- 750L
  start <- ifelse(reverse, last - offset - window_length + 1L, first + offset)
  data.frame(
    text = substring(as.character(regions), offset + 1L, offset + window_length),
    origin = sprintf(
      "dm3 chr3R:%d-%d(%s)", start, start + window_length - 1L, ifelse(reverse, "-", "+")
    )
  )
}

yeast_windows <- function() {
  data(yeastSEQCHR1, package = "Biostrings", envir = environment())
  # Away from the telomeres, whose repeats are no typical sequence.
  start <- seq(50001L, nchar(yeastSEQCHR1) - 50000L, by = window_length)
  end <- start + window_length - 1L
  data.frame(
    text = substring(yeastSEQCHR1, start, end),
    origin = sprintf("Saccharomyces cerevisiae chrI:%d-%d(+)", start, end)
  )
}

# What a window holds: strong sites (all of them inside the profile), any weaker match.
describe_windows <- function(windows) {
  counts <- lapply(windows$text, function(text) {
    sites <- find_sites(text, least = 4)
    strong <- sites$log_odds >= 8
    inside <- sites$start > trimming + 50L & sites$end <= window_length - trimming - 50L
    c(
      strong = sum(strong), strong_inside = sum(strong & inside), weak = sum(!strong),
      apart = if (sum(strong) > 1L) min(diff(sites$start[strong])) else 0
    )
  })
  cbind(windows, do.call(rbind, counts))
}

# The first window that fits; an error if none does.
first_where <- function(windows, condition) {
  fitting <- which(eval(substitute(condition), windows))
  stopifnot("no window fits" = length(fitting) > 0L)
  windows[fitting[1L], c("text", "origin")]
}

fly <- describe_windows(fly_windows())
yeast <- describe_windows(yeast_windows())

fly_one <- first_where(fly, strong == 1 & strong_inside == 1 & weak == 0)
fly_two <- first_where(fly, strong == 2 & strong_inside == 2 & apart >= 60 & weak <= 1)
fly_none <- first_where(fly, strong == 0 & weak == 0)
yeast_one <- first_where(yeast, strong == 1 & strong_inside == 1 & weak <= 1)
yeast_none <- first_where(yeast, strong == 0 & weak == 0)

# ---- planting ------------------------------------------------------------------------

plant <- function(window, words, starts) {
  for (i in seq_along(words)) {
    substring(window$text, starts[i], starts[i] + nchar(words[i]) - 1L) <- words[i]
  }
  window$origin <- paste0(
    window$origin, " with ", paste0(words, " planted at ", starts, collapse = " and ")
  )
  window
}

# Where the two words go: the start of AGATAAG nearest the middle at which GATAA alone, one base
# further, meets flanks that make it a weak match. It is occupied to about a fifth there.
log_odds_of_weak <- function(start) {
  text <- plant(fly_none, "GATAA", start + 1L)$text
  here <- find_sites(text, least = -Inf)
  max(here$log_odds[here$start == start])
}
around <- (window_length - 7L) %/% 2L + 1L + c(0L, rep(seq_len(30L), each = 2L) * c(-1L, 1L))
weak_scores <- vapply(around, log_odds_of_weak, numeric(1L))
fits <- which(weak_scores >= 4.8 & weak_scores <= 5.5)
stopifnot("no place for the weak site" = length(fits) > 0L)
place <- around[fits[1L]]

chosen <- list(
  fly_one_site = fly_one,
  fly_two_sites = fly_two,
  yeast_one_site = yeast_one,
  fly_no_site = fly_none,
  yeast_no_site = yeast_none,
  fly_planted_AGATAAG = plant(fly_none, "AGATAAG", place),
  fly_planted_GATAA = plant(fly_none, "GATAA", place + 1L),
  yeast_planted_two = plant(yeast_none, c("AGATAAG", "CTTATCT"), c(181L, 311L))
)
planted <- data.frame(
  sequence = c(
    "fly_planted_AGATAAG", "fly_planted_GATAA", "yeast_planted_two", "yeast_planted_two"
  ),
  start = c(place, place + 1L, 181L, 311L),
  end = c(place + 6L, place + 5L, 187L, 317L),
  strand = c("+", "+", "+", "-"),
  name = c("AGATAAG", "GATAA", "AGATAAG", "AGATAAG"),
  planted = TRUE
)

found <- lapply(names(chosen), function(name) {
  sites <- find_sites(chosen[[name]]$text)
  if (nrow(sites) == 0L) {
    return(NULL)
  }
  mine <- planted[planted$sequence == name, ]
  is_planted <- vapply(seq_len(nrow(sites)), function(i) {
    any(sites$start[i] <= mine$end & sites$end[i] >= mine$start)
  }, logical(1L))
  data.frame(sequence = name, sites[c("start", "end", "strand", "name")], planted = FALSE)[
    !is_planted, ,
    drop = FALSE
  ]
})
sites <- rbind(planted, do.call(rbind, found))
sites <- sites[order(match(sites$sequence, names(chosen)), sites$start), ]

# ---- writing -------------------------------------------------------------------------

extdata <- file.path(root, "inst", "extdata")
dir.create(extdata, recursive = TRUE, showWarnings = FALSE)
origin <- vapply(chosen, function(window) window$origin, "")
text <- vapply(chosen, function(window) window$text, "")
stopifnot(nchar(text) == window_length, !grepl("[^ACGT]", text))
writeLines(paste0(">", names(chosen), " ", origin, "\n", text),
  file.path(extdata, "demo_sequences.fa")
)
write.table(sites, file.path(extdata, "demo_sites.tsv"),
  sep = "\t", quote = FALSE, row.names = FALSE
)
print(sites, row.names = FALSE)
cat("log-odds of the planted GATAA:", weak_scores[fits[1L]], "\n")
