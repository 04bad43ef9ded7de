# A genome in any of its forms, as a list of
#   label    how a message names it
#   seqinfo  Seqinfo of its chromosomes: names, lengths, assembly
#   fetch    function of a GRanges within the chromosomes: their plus strand as a DNAStringSet

open_genome <- function(genome, call = caller_env()) {
  if (is.character(genome)) {
    genome <- open_genome_file(genome, call)
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

open_genome_file <- function(path, call) {
  path <- path.expand(check_string(path, "genome", call = call))
  if (!file.exists(path) || dir.exists(path)) {
    abort_seqlift("file", "There is no file {.path {path}} ({.arg genome}).", call = call)
  }
  if (grepl("\\.2bit$", path, ignore.case = TRUE)) {
    check_package("rtracklayer", "Reading a 2bit file", call)
    return(rtracklayer::TwoBitFile(path))
  }
  check_package("Rsamtools", "Reading a FASTA file", call)
  if (is_plain_gzip(path)) {
    # There is no way to a place within it.
    return(read_file_of("genome", path, Biostrings::readDNAStringSet(path), call))
  }
  Rsamtools::FaFile(path)
}

# A gzip file that is not in the blocks of bgzip, which mark themselves with the bytes "BC".
is_plain_gzip <- function(path) {
  start <- readBin(path, "raw", 14L)
  length(start) >= 2L && identical(start[1:2], as.raw(c(0x1f, 0x8b))) &&
    !identical(start[13:14], charToRaw("BC"))
}

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
