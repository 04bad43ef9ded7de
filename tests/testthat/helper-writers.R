# Everything of the package that writes a file: a name -> the ending of the file, the packages that
# it needs, and a function that writes to a path. Read by the tests, and by processes of theirs.

file_writers <- function(folder = test_path()) {
  model <- load_model(file.path(folder, "models", "tiny.pt"))
  X <- c(one = "ACGTTGCAAGTC", two = "GGATTACAGATC", three = "TTGCAAGTCCAG")
  scores <- function(...) deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0, ...)
  found <- scores(hypothetical = TRUE)
  motifs <- list(a = cbind(c(1, 0, 0, 0), c(0, 0.5, 0.5, 0)))
  regions <- function() {
    GenomicRanges::GRanges(c("chr1:11-22", "chr1:31-42", "chr1:51-62"),
      seqinfo = GenomeInfoDb::Seqinfo("chr1", 160L)
    )
  }
  # Of as many lines as make several buffers.
  seqlets <- data.frame(
    example = rep(1:3, 500L), start = 2L, end = 8L, attribution = seq_len(1500L) / 7
  )
  counts <- function() {
    heads <- load_model(file.path(folder, "models", "two_heads.pt"))
    with_args(heads, list(control_track = 0))
  }
  variants <- data.frame(chromosome = "chr1", position = c(30, 35), ref = "C", alt = "A")
  genome <- function() Biostrings::DNAStringSet(c(chr1 = strrep("ACGTTGCAAGTCCG", 8L)))
  scored <- function(...) score_variants(counts(), variants, genome(), width = 24, ...)
  delayedAssign("table", scored())
  delayedAssign("patterns", read_motifs(file.path(folder, "motifs", "modisco.h5")))
  modisco <- function(change) {
    function(path) {
      other <- tempfile(fileext = ".npz")
      on.exit(unlink(other))
      if (change == "ohe") {
        export_modisco(found, path, other)
      } else {
        export_modisco(found, other, path)
      }
    }
  }
  ranges <- c("Biostrings", "GenomicRanges")
  hdf5 <- c("rhdf5", "HDF5Array", "DelayedArray")
  writer <- function(ending, write, packages = character()) {
    list(ending = ending, write = write, packages = packages)
  }
  list(
    `save_model copied` = writer(".pt", function(path) save_model(model, path)),
    `save_model made` = writer(".pt", function(path) save_model(counts(), path)),
    export_bed = writer(".bed", function(path) export_bed(seqlets, path, regions()), ranges),
    `export_bed big` = writer(".bb", function(path) export_bed(seqlets, path, regions()), ranges),
    `export_bed peaks` = writer(
      ".narrowPeak", function(path) export_bed(seqlets, path, regions()), ranges
    ),
    export_bigwig = writer(".bw", function(path) export_bigwig(scores(), regions(), path),
      c(ranges, "rtracklayer")),
    export_h5 = writer(".h5", function(path) export_h5(found, path), hdf5),
    `export_modisco sequences` = writer(".npz", modisco("ohe")),
    `export_modisco scores` = writer(".npz", modisco("shap")),
    `export_motifs meme` = writer(".meme", function(path) export_motifs(motifs, path)),
    `export_motifs jaspar` = writer(".jaspar", function(path) export_motifs(motifs, path)),
    `export_motifs h5` = writer(".h5", function(path) {
      export_motifs(patterns, path)
    }, hdf5),
    export_vcf = writer(".vcf", function(path) export_vcf(table, path), ranges),
    `export_vcf bgzip` = writer(".vcf.gz", function(path) export_vcf(table, path),
      c(ranges, "Rsamtools")),
    `deep_lift_shap output` = writer(".h5", function(path) scores(output = path), hdf5),
    `call_hits output` = writer(".rds", function(path) {
      weights <- rbind(A = c(0, 4, 0, 4), C = 0, G = c(4, 0, 0, 0), T = c(0, 0, 4, 0))
      call_hits(as.array(found), list(gata = weights), one_hot_encode(X), output = path)
    }),
    `score_variants output` = writer(".tsv", function(path) scored(output = path), ranges),
    attribution_report = writer(".html", function(path) {
      attribution_report(model, X, path, n_shuffles = 2L, random_state = 0, top = 1L)
    }, c("rmarkdown", "knitr")),
    motif_report = writer(
      ".html", function(path) motif_report(patterns, path), c("rmarkdown", "knitr", hdf5)
    ),
    variant_report = writer(".html", function(path) {
      variant_report(
        counts(), variants[1L, ], genome(), path, width = 24, n_shuffles = 2L, random_state = 0
      )
    }, c("rmarkdown", "knitr", ranges))
  )
}

# The same for folders of files: the path is that of the folder.
folder_writers <- function(folder = test_path()) {
  X <- c(one = "ACGTTGCAAGTC", two = "GGATTACAGATC")
  regions <- function() {
    GenomicRanges::GRanges(
      c("chr1:11-22", "chr1:31-42"), seqinfo = GenomeInfoDb::Seqinfo("chr1", 160L)
    )
  }
  scores <- function() {
    attribute(load_model(file.path(folder, "models", "tiny.pt")), X, "gradient_x_input")
  }
  seqlets <- data.frame(
    example = rep(1:2, 500L), start = 2L, end = 8L, attribution = seq_len(1000L) / 7
  )
  list(
    export_track_hub = list(
      ending = "", packages = c("GenomicRanges", "rtracklayer", "jsonlite"), last = "hub.txt",
      write = function(path) {
        export_track_hub(scores(), path, "made", ranges = regions(), seqlets = seqlets)
      }
    )
  )
}

can_write <- function(writer) {
  all(vapply(writer$packages, requireNamespace, NA, quietly = TRUE)) &&
    (!"rmarkdown" %in% writer$packages || rmarkdown::pandoc_available("2.0"))
}

# All that lies in a folder, and what links lead to.
everything_in <- function(folder) {
  names <- sort(
    list.files(folder, all.files = TRUE, recursive = TRUE, no.. = TRUE, include.dirs = TRUE)
  )
  stats::setNames(Sys.readlink(file.path(folder, names)), names)
}
