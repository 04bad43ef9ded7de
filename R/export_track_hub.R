# A folder for genome browsers: tracks as bigWig and bigBed files, and what each browser needs to
# know of them, as text. The files of tracks are those of export_bigwig() and export_bed().

#' Write a track hub for genome browsers
#'
#' Writes a folder that genome browsers open as it is, once it lies where they can read it: on a web
#' server, or for IGV on the same machine. Attributions are drawn as letters of the genome's bases,
#' as high as their numbers (dynseq, preset for each browser); seqlets, annotations, hits and
#' variants as marks with their numbers.
#'
#' | file | opened by |
#' |---|---|
#' | `hub.txt`, with `genomes.txt` and `<genome>/trackDb.txt` | the UCSC Genome Browser: My Data, Track Hubs, the address of `hub.txt`; Ensembl and others that read such hubs |
#' | `washu.json` | the WashU Epigenome Browser: Tracks, Remote Tracks, Add Remote Data Hub |
#' | `igv.xml` | IGV on the desktop: File, Open Session |
#' | `igv.json` | igv.js and IGV-Web: an object of `genome`, `locus` and `tracks` |
#' | `<genome>/*.bw`, `<genome>/*.bb` | any of them, and tools that read bigWig and bigBed |
#'
#' All files name each other by their place in the folder, so that it can be moved. `url` writes
#' whole addresses into `washu.json` and `igv.json`, which some places want.
#'
#' A folder that is there is written into: files of these names are replaced, others stay. All are
#' written beside their places first, so that without room on the disk the folder is as it was.
#'
#' @param attributions A result of an attribution method of one target (class
#'   `seqlift_attributions`), or a named list of several, a track each.
#' @param folder Path of the folder.
#' @param genome Name of the assembly as browsers know it, such as `"hg38"`.
#' @param ... Not used; must be empty.
#' @param seqlets,annotations,hits,variants Tables to draw as marks: results of
#'   [recursive_seqlets()] or [tfmodisco_seqlets()], of [annotate_seqlets()], of [call_hits()], of
#'   [score_variants()]. Default `NULL`: none.
#' @param ranges A `GRanges` with the place of each sequence. Default `NULL`: those that results and
#'   tables know.
#' @param lengths Lengths of the chromosomes, where the ranges do not know them, as `genome` of
#'   [export_bigwig()].
#' @param overlaps What a base gets that several sequences cover, as for [export_bigwig()].
#' @param name Name of the hub: a letter, then letters, digits and `_`. Default `"seqlift"`.
#' @param label What browsers call the hub. Default: `name`.
#' @param email Whom the UCSC browser names as the one to ask; its hubs must have it.
#' @param url Address of the folder once it is on a server, such as `"https://example.org/hub"`.
#'   Default `NULL`: places within the folder.
#' @return The path of the folder, invisibly.
#' @section Errors: Those of [export_bigwig()] and [export_bed()], before anything is written;
#'   `seqlift_error_argument` for other wrong arguments; `seqlift_error_file` for a folder that
#'   cannot be written; `seqlift_error_package` without the packages rtracklayer, GenomicRanges and
#'   jsonlite.
#' @source Nair et al. (2022), The dynseq browser track shows context-specific features at
#'   nucleotide resolution, Nature Genetics 54, 1581-1583. Raney et al. (2014), Track data hubs
#'   enable visualization of user-defined genome-wide annotations on the UCSC Genome Browser.
#' @seealso [export_bigwig()], [export_bed()]; [view_attributions()] for a page without a genome
#'   browser
#' @export
#' @examplesIf all(vapply(c("rtracklayer", "jsonlite"), requireNamespace, NA, quietly = TRUE)) && .Platform$OS.type != "windows"
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- attribute(model, demo_sequences()[1:2], "gradient_x_input")
#' attribution_ranges(attributions) <- GenomicRanges::GRanges(
#'   c("chr2L:10001-10500:+", "chr2L:40001-40500:-")
#' )
#' folder <- tempfile("hub-")
#' export_track_hub(attributions, folder, "dm6",
#'   seqlets = recursive_seqlets(attributions), lengths = c(chr2L = 23513712)
#' )
#' list.files(folder, recursive = TRUE)
#' cat(readLines(file.path(folder, "dm6", "trackDb.txt")), sep = "\n")
export_track_hub <- function(attributions, folder, genome, ..., seqlets = NULL, annotations = NULL,
                             hits = NULL, variants = NULL, ranges = NULL, lengths = NULL,
                             overlaps = c("error", "mean", "first"), name = "seqlift", label = name,
                             email = "nobody@example.org", url = NULL) {
  check_no_dots(..., .fn = "export_track_hub", .after = "genome")
  call <- rlang::current_env()
  check_package(c("rtracklayer", "GenomicRanges", "jsonlite"), "Writing a track hub")
  overlaps <- check_choice(overlaps, c("error", "mean", "first"), "overlaps")
  check_hub_name(genome, "genome", "^[A-Za-z0-9][A-Za-z0-9_.-]*$", call)
  check_hub_name(name, "name", "^[A-Za-z][A-Za-z0-9_]*$", call)
  check_hub_text(label, "label", call)
  check_hub_text(email, "email", call)
  url <- check_hub_url(url, call)
  results <- check_hub_results(attributions, call)
  signals <- Map(function(one, title) {
    values <- position_values(one, call = call)
    bigwig_track(values, one, ranges, lengths, overlaps, call, "lengths")
  }, results, names(results))
  tables <- list(seqlets = seqlets, annotations = annotations, hits = hits, variants = variants)
  tables <- Filter(Negate(is.null), tables)
  marks <- Map(hub_marks, tables, names(tables),
    MoreArgs = list(ranges, lengths, signals[[1L]], call)
  )
  tracks <- with_own_ids(c(hub_signals(signals), hub_tables(marks)))
  place <- function(track) paste0(genome, "/", track$file)
  described <- list(
    washu.json = washu_json(tracks, place, url),
    igv.xml = igv_xml(tracks, place, genome, first_locus(signals[[1L]])),
    igv.json = igv_json(tracks, place, genome, url, first_locus(signals[[1L]]))
  )
  described[[paste0(genome, "/trackDb.txt")]] <- track_db(tracks)
  described$genomes.txt <- c(paste("genome", genome), paste0("trackDb ", genome, "/trackDb.txt"))
  # The last one: who finds it finds all.
  described$hub.txt <- c(
    paste("hub", name), paste("shortLabel", substr(label, 1L, 17L)), paste("longLabel", label),
    "genomesFile genomes.txt", paste("email", email)
  )
  files <- c(vapply(tracks, place, ""), names(described))
  write_folder(folder, files, function(temporary) {
    for (track in tracks) {
      track$write(file.path(temporary, place(track)))
    }
    for (file in names(described)) {
      write_text(described[[file]], file.path(temporary, file))
    }
  })
}

# ---- arguments ----------------------------------------------------------------------------

check_hub_name <- function(x, arg, pattern, call) {
  check_string(x, arg, call = call)
  if (!grepl(pattern, x)) {
    abort_argument(arg, if (arg == "genome") {
      "the name of an assembly, such as \"hg38\" (letters, digits, `.`, `_` and `-`)"
    } else {
      "a letter, then letters, digits and `_`"
    }, describe(x), call = call)
  }
}

check_hub_text <- function(x, arg, call) {
  check_string(x, arg, call = call)
  if (!nzchar(trimws(x)) || grepl("[\r\n]", x)) {
    abort_argument(arg, "one line of text", describe(x), call = call)
  }
}

check_hub_url <- function(url, call) {
  check_string(url, "url", null = TRUE, call = call)
  if (!is.null(url) && !grepl("^(https?|ftp)://[^[:space:]]+$", url)) {
    abort_argument("url", "an address that begins with https:// (or http://, ftp://)",
      describe(url),
      call = call
    )
  }
  if (!is.null(url)) paste0(sub("/+$", "", url), "/")
}

check_hub_results <- function(attributions, call) {
  if (inherits(attributions, "seqlift_attributions")) {
    attributions <- list(attributions = attributions)
  }
  named <- is.list(attributions) && length(attributions) > 0L && !is.data.frame(attributions) &&
    !is.null(names(attributions)) && all(nzchar(names(attributions))) && !anyNA(names(attributions))
  if (!named || anyDuplicated(names(attributions)) > 0L) {
    abort_argument("attributions", "a result of an attribution method, or a named list of several",
      describe(attributions),
      call = call
    )
  }
  for (name in names(attributions)) {
    check_hub_text(name, "names(attributions)", call)
    check_attributions(attributions[[name]], "attributions", call)
  }
  attributions
}

# A table whose chromosomes have no lengths of their own lies on those of the attributions.
hub_marks <- function(x, arg, ranges, lengths, signal, call) {
  own <- if (bed_kind(x) == "variants" || inherits(x, "GRanges")) NULL else ranges
  table <- bed_table(x, own, arg, call)
  if (is.null(lengths)) {
    known <- GenomeInfoDb::seqlengths(signal)
    lengths <- if (all(table$places$seqnames %in% names(known))) known
  }
  check_not_empty(table, arg, call)
  list(table = table, sizes = bed_sizes(table, x, ranges, lengths, call, "lengths"))
}

# ---- tracks -------------------------------------------------------------------------------

# list(id, ending of the file, title, kind, write) and what else is of numbers, and of marks.
hub_signals <- function(signals) {
  unname(Map(function(signal, title) {
    score <- signal$score
    list(
      id = title, ending = ".bw", title = title, label = title, kind = "signal",
      low = min(score, 0), high = max(score, 0),
      write = function(path) write_bigwig(signal, path)
    )
  }, signals, names(signals)))
}

hub_tables <- function(marks) {
  unname(Map(function(mark, name) {
    list(
      id = name, ending = ".bb", title = bed_kinds[[mark$table$kind]]$title, label = name,
      kind = "marks", columns = 6L + length(mark$table$columns),
      write = function(path) write_bigbed_table(mark$table, mark$sizes, path)
    )
  }, marks, names(marks)))
}

# Names that UCSC takes, a file of its own each, also where upper and lower case are one.
with_own_ids <- function(tracks) {
  names <- vapply(tracks, function(track) track$id, "")
  ids <- gsub("[^A-Za-z0-9]+", "_", iconv(names, "UTF-8", "ASCII", sub = "_"))
  ids <- ifelse(grepl("^[A-Za-z]", ids), ids, paste0("track_", ids))
  again <- stats::ave(seq_along(ids), tolower(ids), FUN = seq_along) > 1L
  taken <- tolower(ids)
  for (i in which(again)) {
    number <- 2L
    while (tolower(paste0(ids[i], "_", number)) %in% taken) number <- number + 1L
    ids[i] <- paste0(ids[i], "_", number)
    taken <- c(taken, tolower(ids[i]))
  }
  Map(function(track, id) {
    track$id <- id
    track$file <- paste0(id, track$ending)
    track
  }, tracks, ids)
}

# ---- what browsers read -------------------------------------------------------------------

# Height of the letters, in pixels.
hub_logo_height <- 100L

# UCSC's stanzas, one a track.
track_db <- function(tracks) {
  stanzas <- lapply(seq_along(tracks), function(i) {
    track <- tracks[[i]]
    label <- track$label
    common <- c(
      paste("track", track$id), paste("bigDataUrl", track$file),
      paste("shortLabel", substr(label, 1L, 17L)), paste("longLabel", track$title),
      paste("priority", i)
    )
    own <- if (track$kind == "signal") {
      c(
        paste("type bigWig", number_text(track$low), number_text(track$high)), "visibility full",
        "logo on", "autoScale on", "alwaysZero on",
        paste0("maxHeightPixels 128:", hub_logo_height, ":16")
      )
    } else {
      extra <- if (track$columns > 6L) "+" else "."
      c(paste("type bigBed 6", extra), "visibility pack", "spectrum on")
    }
    c(common, own, "")
  })
  unlist(stanzas)
}

washu_json <- function(tracks, place, url) {
  as_json(lapply(tracks, function(track) {
    signal <- track$kind == "signal"
    list(
      type = if (signal) "dynseq" else "bigbed", name = track$label,
      url = paste0(url, place(track)), showOnHubLoad = TRUE,
      options = if (signal) list(height = hub_logo_height) else list(height = 40L)
    )
  }))
}

igv_json <- function(tracks, place, genome, url, locus) {
  as_json(list(
    genome = genome, locus = locus,
    tracks = lapply(tracks, function(track) {
      c(
        list(name = track$label, url = paste0(url, place(track))),
        if (track$kind == "signal") {
          list(
            type = "wig", format = "bigwig", graphType = "dynseq", height = hub_logo_height,
            autoscale = TRUE
          )
        } else {
          list(type = "annotation", format = "bigbed", displayMode = "EXPANDED")
        }
      )
    })
  ))
}

# The place of the first sequence.
first_locus <- function(signal) {
  chromosome <- as.character(GenomicRanges::seqnames(signal)[1L])
  pos <- GenomicRanges::start(signal)
  same <- as.character(GenomicRanges::seqnames(signal)) == chromosome
  breaks <- which(diff(pos) != 1L | !same[-1L])
  last <- if (length(breaks) > 0L) breaks[1L] else length(pos)
  sprintf("%s:%d-%d", chromosome, pos[1L], pos[last])
}

as_json <- function(x) jsonlite::toJSON(x, auto_unbox = TRUE, pretty = TRUE)

# A session as IGV on the desktop saves it. A track's id is the path of its resource, and renderer
# DYNSEQ draws letters; an IGV that does not know it draws bars.
igv_xml <- function(tracks, place, genome, locus) {
  attributes <- function(...) {
    values <- c(...)
    paste0(" ", names(values), "=\"", vapply(values, escape_html, ""), "\"", collapse = "")
  }
  resources <- vapply(tracks, function(track) {
    type <- if (track$kind == "signal") "bigwig" else "bigbed"
    paste0("        <Resource",
      attributes(name = track$label, path = place(track), type = type), "/>"
    )
  }, "")
  shown <- vapply(tracks, function(track) {
    own <- if (track$kind == "signal") {
      c(
        renderer = "DYNSEQ", height = as.character(hub_logo_height), autoScale = "true",
        windowFunction = "mean"
      )
    } else {
      c(displayMode = "EXPANDED")
    }
    paste0("        <Track",
      attributes(id = place(track), name = track$label, own, visible = "true"), "/>"
    )
  }, "")
  c(
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>",
    paste0("<Session", attributes(genome = genome, locus = locus, version = "8"), ">"),
    "    <Resources>", resources, "    </Resources>",
    "    <Panel name=\"DataPanel\">", shown, "    </Panel>", "</Session>"
  )
}
