# A hub with all kinds of tables, read back by readers of each format.

hub_tables <- function() {
  seqlets <- data.frame(
    example = c(1L, 2L), start = c(2L, 3L), end = c(6L, 9L), attribution = c(2, -1),
    p_value = c(0.01, NA)
  )
  list(
    seqlets = seqlets,
    annotations = data.frame(
      example = c(1L, 2L), start = c(2L, 3L), end = c(6L, 9L), annotation = c("GATA", "E box"),
      rank = 1L, p_value = c(1e-4, 0.5), strand = c("+", "-")
    ),
    variants = data.frame(
      variant = "rs1", chromosome = "chr1", position = 105L, ref = "AC", alt = "A", logfc = -0.5
    )
  )
}

made_hub <- function(folder, ...) {
  tables <- hub_tables()
  other <- ranged_result(values = -numbered_values())
  export_track_hub(list(counts = ranged_result(), `other & "one"` = other),
    folder, "made1", seqlets = tables$seqlets, annotations = tables$annotations,
    variants = tables$variants, ranges = sequence_places(), ...
  )
}

skip_without_hub <- function() {
  for (package in c("rtracklayer", "jsonlite")) skip_if_not_installed(package)
  skip_on_os("windows")
}

# Stanzas of UCSC's text files: blank lines between, one setting a line.
read_stanzas <- function(path) {
  lines <- readLines(path)
  parts <- split(lines, cumsum(lines == ""))
  parts <- lapply(parts, function(part) part[part != ""])
  lapply(unname(parts[lengths(parts) > 0L]), function(part) {
    stats::setNames(as.list(sub("^[^ ]+ ", "", part)), sub(" .*", "", part))
  })
}

# Number of columns in the header, and their names in the autoSql text.
parse_bigbed_columns <- function(path) {
  bytes <- readBin(path, "raw", file.size(path))
  places <- readBin(bytes[37:52], "integer", 4L, 4L, endian = "little")
  text <- rawToChar(bytes[(places[1L] + 1L):(places[3L] - 1L)])
  lines <- grep(";", strsplit(text, "\n")[[1L]], value = TRUE)
  list(
    columns = readBin(bytes[33:34], "integer", 1L, 2L, endian = "little"),
    names = sub("^ *[^ ]+ ([A-Za-z_]+);.*", "\\1", lines)
  )
}

test_that("UCSC's files lead from hub.txt to tracks that are there, with the settings of dynseq", {
  skip_without_hub()
  folder <- file.path(new_folder(), "hub")
  expect_identical(
    made_hub(folder, label = "A hub with a long label", email = "me@example.org"), folder
  )
  hub <- read_stanzas(file.path(folder, "hub.txt"))[[1L]]
  expect_identical(names(hub), c("hub", "shortLabel", "longLabel", "genomesFile", "email"))
  expect_lte(nchar(hub$shortLabel), 17L)
  genomes <- read_stanzas(file.path(folder, hub$genomesFile))
  expect_identical(genomes, list(list(genome = "made1", trackDb = "made1/trackDb.txt")))
  tracks <- read_stanzas(file.path(folder, genomes[[1L]]$trackDb))
  expect_identical(vapply(tracks, `[[`, "", "track"),
    c("counts", "other_one_", "seqlets", "annotations", "variants"))
  for (track in tracks) {
    expect_true(all(c("type", "bigDataUrl", "shortLabel", "longLabel") %in% names(track)))
    expect_match(track$track, "^[A-Za-z][A-Za-z0-9_]*$")
    expect_lte(nchar(track$shortLabel), 17L)
    path <- file.path(folder, "made1", track$bigDataUrl)
    expect_true(file.exists(path))
    if (startsWith(track$type, "bigWig")) {
      expect_identical(track$logo, "on")
      range <- range(rtracklayer::import(path)$score, 0)
      expect_equal(as.numeric(strsplit(track$type, " ")[[1L]][2:3]), range, tolerance = 1e-6)
    } else {
      parsed <- parse_bigbed_columns(path)
      expect_identical(track$type, "bigBed 6 +")
      expect_length(parsed$names, parsed$columns)
    }
  }
})

test_that("the tracks hold the numbers of the results and tables", {
  skip_without_hub()
  folder <- file.path(new_folder(), "hub")
  made_hub(folder)
  at <- function(file) file.path(folder, "made1", file)
  wide <- as.data.frame(rtracklayer::import(at("counts.bw")))
  expected <- as.data.frame(ranged_result())
  expected <- expected[order(expected$seqnames, expected$pos), ]
  expect_identical(wide$start, as.integer(expected$pos))
  expect_equal(wide$score, expected$attribution, tolerance = 1e-7)
  expect_equal(rtracklayer::import(at("other_one_.bw"))$score, -wide$score)

  seqlets <- rtracklayer::import(at("seqlets.bb"))
  places <- seqlets_as_granges(hub_tables()$seqlets, sequence_places())
  expect_identical(GenomicRanges::end(seqlets), GenomicRanges::end(places))
  expect_identical(as.character(GenomicRanges::strand(seqlets)), c("+", "-"))
  expect_equal(seqlets$attribution, c(2, -1))
  expect_equal(seqlets$p_value, c(0.01, -1), tolerance = 1e-6)
  expect_identical(seqlets$score, c(1000L, 500L))
  annotations <- rtracklayer::import(at("annotations.bb"))
  expect_identical(annotations$name, c("GATA", "E box"))
  expect_identical(as.character(GenomicRanges::strand(annotations)), c("+", "+"))
  expect_identical(annotations$score, c(400L, 30L))
  variants <- rtracklayer::import(at("variants.bb"))
  expect_identical(GenomicRanges::end(variants), 106L)
  expect_identical(c(variants$name, variants$ref, variants$alt), c("rs1", "AC", "A"))
  expect_equal(variants$logfc, -0.5)
})

test_that("hits are a track too", {
  skip_without_hub()
  weights <- rbind(A = c(0, 4, 0, 4), C = 0, G = c(4, 0, 0, 0), T = c(0, 0, 4, 0))
  X <- test_sequences()
  scores <- array(0.01, c(3L, 4L, 12L))
  one_hot <- one_hot_encode(X)
  one_hot[1L, , 5:8] <- weights > 0
  scores[1L, , 5:8] <- weights
  hits <- call_hits(scores, list(gata = weights), one_hot)
  folder <- file.path(new_folder(), "hub")
  export_track_hub(ranged_result(), folder, "made1", hits = hits, ranges = sequence_places())
  read <- rtracklayer::import(file.path(folder, "made1", "hits.bb"))
  expect_identical(read$name[1L], "gata")
  expect_identical(GenomicRanges::end(read)[1L], 108L)
  expect_equal(read$similarity, hits$similarity, tolerance = 1e-6)
})

test_that("the files of WashU and IGV name the tracks, by place or address", {
  skip_without_hub()
  folder <- file.path(new_folder(), "hub")
  made_hub(folder)
  washu <- jsonlite::fromJSON(file.path(folder, "washu.json"), simplifyVector = FALSE)
  expect_identical(
    vapply(washu, `[[`, "", "type"), c("dynseq", "dynseq", "bigbed", "bigbed", "bigbed")
  )
  expect_identical(washu[[2L]]$name, "other & \"one\"")
  expect_true(all(file.exists(file.path(folder, vapply(washu, `[[`, "", "url")))))
  igv <- jsonlite::fromJSON(file.path(folder, "igv.json"), simplifyVector = FALSE)
  expect_identical(igv[c("genome", "locus")], list(genome = "made1", locus = "chr1:101-112"))
  expect_identical(igv$tracks[[1L]]$graphType, "dynseq")
  expect_identical(vapply(igv$tracks, `[[`, "", "url"), vapply(washu, `[[`, "", "url"))
  if (requireNamespace("xml2", quietly = TRUE)) {
    session <- xml2::read_xml(file.path(folder, "igv.xml"))
    expect_identical(xml2::xml_attr(session, "genome"), "made1")
    resources <- xml2::xml_find_all(session, "//Resource")
    expect_identical(xml2::xml_attr(resources, "path"), vapply(washu, `[[`, "", "url"))
    expect_identical(xml2::xml_attr(resources, "name"), vapply(washu, `[[`, "", "name"))
    expect_identical(xml2::xml_attr(resources, "type"), rep(c("bigwig", "bigbed"), 2:3))
    expect_identical(xml2::xml_attr(session, "locus"), "chr1:101-112")
    # IGV finds the track of a resource by its path.
    shown <- xml2::xml_find_all(session, "/Session/Panel[@name='DataPanel']/Track")
    expect_identical(xml2::xml_attr(shown, "id"), xml2::xml_attr(resources, "path"))
    expect_identical(xml2::xml_attr(shown, "name"), xml2::xml_attr(resources, "name"))
    expect_identical(xml2::xml_attr(shown, "renderer"), c("DYNSEQ", "DYNSEQ", NA, NA, NA))
    expect_identical(xml2::xml_attr(shown, "autoScale"), c("true", "true", NA, NA, NA))
  }
  made_hub(folder, url = "https://example.org/hub/")
  washu <- jsonlite::fromJSON(file.path(folder, "washu.json"), simplifyVector = FALSE)
  expect_identical(washu[[1L]]$url, "https://example.org/hub/made1/counts.bw")
})

test_that("tracks have names of their own, whatever results are called", {
  track <- function(id) list(id = id, ending = ".bw")
  given <- c("a b", "A.b", "a_b_2", "1st", "\u00e9t\u00e9", "seqlets", "seqlets")
  ids <- vapply(with_own_ids(lapply(given, track)), `[[`, "", "id")
  expect_identical(anyDuplicated(tolower(ids)), 0L)
  expect_match(ids, "^[A-Za-z][A-Za-z0-9_]*$")
  expect_identical(ids[1L], "a_b")
})

test_that("what makes no hub is refused before the folder is touched", {
  skip_without_hub()
  folder <- file.path(new_folder(), "hub")
  refused <- function(words, ..., result = ranged_result()) {
    given <- utils::modifyList(
      list(attributions = result, folder = folder, genome = "made1"), list(...)
    )
    expect_error(do.call(export_track_hub, given), words, class = "seqlift_error_argument")
  }
  refused("genome", genome = "a b")
  refused("genome", genome = "../x")
  refused("name", name = "1 hub")
  refused("email", email = "a\nb")
  refused("url", url = "example.org")
  refused("attributions", result = list(ranged_result()))
  refused("attributions", result = 1)
  refused("ranges", result = ranged_result(ranges = FALSE))
  refused("seqlets", seqlets = hub_tables()$seqlets[0L, ])
  refused("overlaps", overlaps = "last")
  refused("`lengths` must be", lengths = 12)
  refused("`lengths` must be", lengths = c(chr1 = 100))
  refused("variants", variants = transform(hub_tables()$variants, position = 0))
  refused("chr9", variants = transform(hub_tables()$variants, chromosome = "chr9"))
  expect_false(file.exists(folder))
})
