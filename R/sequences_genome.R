# A genome in any of its forms, as a list of
#   label    how a message names it
#   seqinfo  Seqinfo of its chromosomes: names, lengths, assembly
#   fetch    function of a GRanges within the chromosomes: their plus strand as a DNAStringSet

open_genome <- function(genome, strict = FALSE, call = caller_env()) {
  if (is.character(genome)) {
    genome <- open_genome_file(genome, strict, call)
  }
  if (isS4(genome) && methods::is(genome, "FaFile")) {
    genome <- indexed_fasta(genome, call)
  }
  if (is_dna(genome) && methods::is(genome, "DNAStringSet")) {
    return(open_sequences(genome, call))
  }
  packages <- c(BSgenome = "BSgenome", FaFile = "Rsamtools", TwoBitFile = "rtracklayer")
  form <- if (isS4(genome)) Filter(function(class) methods::is(genome, class), names(packages))
  if (length(form) == 0L) {
    abort_argument("genome",
      "a BSgenome, FaFile, TwoBitFile, DNAStringSet or the path of a FASTA or 2bit file",
      describe(genome),
      kind = "genome", call = call
    )
  }
  check_package(packages[[form[1L]]], "This genome", call)
  list(
    label = "`genome`", seqinfo = GenomeInfoDb::seqinfo(genome),
    fetch = function(ranges) {
      unname(Biostrings::getSeq(genome, GenomicRanges::GRanges(
        as.character(GenomicRanges::seqnames(ranges)), GenomicRanges::ranges(ranges)
      )))
    }
  )
}

# FASTA names end at the first space for every tool; Biostrings keeps the whole line.
open_sequences <- function(genome, call) {
  chromosomes <- sub("[[:space:]].*$", "", names(genome) %||% rep("", length(genome)))
  if (length(genome) == 0L || !all(nzchar(chromosomes)) || anyDuplicated(chromosomes)) {
    abort_argument("genome", "a DNAStringSet with a name of its own for each chromosome",
      if (length(genome) == 0L) "empty" else "one without",
      kind = "genome", call = call
    )
  }
  list(
    label = "`genome`",
    seqinfo = GenomeInfoDb::Seqinfo(chromosomes, Biostrings::width(genome)),
    fetch = function(ranges) {
      own <- genome[match(as.character(GenomicRanges::seqnames(ranges)), chromosomes)]
      own <- Biostrings::subseq(own, GenomicRanges::start(ranges), GenomicRanges::end(ranges))
      S4Vectors::mcols(own) <- NULL
      unname(own)
    }
  )
}

open_genome_file <- function(path, strict, call) {
  path <- check_file(path, "genome", call)
  if (grepl("\\.2bit$", path, ignore.case = TRUE) || is_two_bit(path)) {
    check_package("rtracklayer", "Reading a 2bit file", call)
    return(rtracklayer::TwoBitFile(path))
  }
  # There is no way to a place within plain gzip; what is small is read and looked through.
  indexed <- file.exists(paste0(path, ".fai"))
  if (is_plain_gzip(path) || (!indexed && file.size(path) <= small_fasta)) {
    return(read_fasta(path, strict, call))
  }
  check_package("Rsamtools", "Reading a FASTA file", call)
  Rsamtools::FaFile(path)
}

# Bytes up to which a FASTA without an index is read as a whole.
small_fasta <- 2^26

is_two_bit <- function(path) {
  list(readBin(path, "raw", 4L)) %in% list(
    as.raw(c(0x43, 0x27, 0x41, 0x1a)), as.raw(c(0x1a, 0x41, 0x27, 0x43))
  )
}

# All sequences of a FASTA, as the tools that write them leave it: names to the first space, lines
# of any length, lower case, U for T, and X for what is masked.
read_fasta <- function(path, strict, call) {
  lines <- trimws(read_text(path, "genome", "a FASTA file", call))
  lines <- lines[nzchar(lines) & !startsWith(lines, ";")]
  is_title <- startsWith(lines, ">")
  if (!any(is_title) || !is_title[1L]) {
    abort_seqlift("file",
      c("The file {.path {path}} ({.arg genome}) is no FASTA file.",
        x = if (length(lines) == 0L) "It is empty." else "Its first line does not begin with >.",
        i = "{.arg genome} can also be a 2bit file, whose content tells."
      ),
      call = call
    )
  }
  group <- factor(cumsum(is_title), seq_len(sum(is_title)))
  names <- sub("[[:space:]].*$", "", sub("^>[[:space:]]*", "", lines[is_title]))
  letters <- vapply(split(lines[!is_title], group[!is_title]), paste, "", collapse = "")
  letters <- chartr("UX", "TN", toupper(gsub("[[:space:]]+", "", letters)))
  odd <- regmatches(letters, regexpr("[^ACGTNMRWSYKVHDB.+-]", letters))
  has_odd <- grepl("[^ACGTNMRWSYKVHDB.+-]", letters)
  problems <- ifelse(!nzchar(names), "has no name", ifelse(
    duplicated(names), "has the name of one before it",
    ifelse(!nzchar(letters), "has no letters", NA)
  ))
  named <- has_odd & is.na(problems)
  problems[named] <- paste0(
    "has the letter ", odd[match(which(named), which(has_odd))], ", which is not of DNA"
  )
  kept <- usable_records(problems, paste0("Sequence ", seq_along(names), " (", names, ")"),
    "sequences", basename(path), strict, "file",
    hint = "{.arg genome} must be a FASTA file of DNA.", call = call
  )
  Biostrings::DNAStringSet(stats::setNames(letters[kept], names[kept]))
}

is_plain_gzip <- function(path) is_gzip(readBin(path, "raw", 2L)) && !is_bgzip(path)

# A FASTA with an index. One that is missing or older than the file is made for this session in its
# temporary folder: the folder of a genome is often another's, or read by many jobs at once.
indexed_fasta <- function(fasta, call) {
  check_package("Rsamtools", "Reading a FASTA file", call)
  path <- fasta$path
  # Paths on the web have no time of change.
  if (!file.exists(path)) {
    return(fasta)
  }
  own <- fasta$index
  if (file.exists(own) && file.mtime(own) >= file.mtime(path)) {
    return(fasta)
  }
  key <- paste(normalizePath(path), file.size(path), as.numeric(file.mtime(path)))
  if (is.null(session_indexes[[key]])) {
    folder <- tempfile("seqlift-index-")
    dir.create(folder)
    linked <- file.path(folder, basename(path))
    file.symlink(normalizePath(path), linked)
    session_indexes[[key]] <- read_file_of("genome", path, {
      Rsamtools::indexFa(linked)
      Rsamtools::FaFile(linked)
    }, call)
  }
  session_indexes[[key]]
}

session_indexes <- new.env(parent = emptyenv())

# Other packages' errors about a file, in our voice.
read_file_of <- function(arg, path, code, call) {
  rlang::try_fetch(code, error = function(error) {
    abort_seqlift("file", "The file {.path {path}} ({.arg {arg}}) cannot be read.",
      parent = error, call = call
    )
  })
}
