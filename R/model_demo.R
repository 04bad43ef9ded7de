#' Load a demo model
#'
#' Two small models ship with the package, so that examples and tests run in seconds and the right
#' answer is known.
#'
#' `"gata"` is a small BPNet (Avsec et al. 2021) that recognises GATA sites: a stem convolution (21
#' wide, 32 channels), six dilated residual convolutions, a profile head and a counts head. It takes
#' 500 bp of sequence and a control track, and was trained on real sequence with simulated
#' reads.
#'
#' `"motifs"` is for the discovery of motifs ([discover_motifs()]): a convolution (11 wide, 16
#' channels), two dilated residual ones and a sum over the positions. It takes 200 bp and gives one
#' number, to which GATA (AGATAAG), AP-1 (TGACTCA) and E-box sites (CACGTG) add and GFI1 sites
#' (AAATCAC) subtract. A GATA site and an E-box whose middles are 14 to 18 bp apart add more than
#' the two alone. All of it is simulated: `data-raw/train_motif_model.py` in the source repository
#' trains it, on random sequences with planted sites. On 1000 new ones the Pearson correlation of
#' predicted and true numbers is `r demo_motif_performance("pearson")`; GATA and E-box 16 bp apart
#' add `r demo_motif_performance("more_than_alone_16_bp")` to what they add alone, 30 bp apart
#' `r demo_motif_performance("more_than_alone_30_bp")`. The sections below are of `"gata"`.
#'
#' @section Training data:
#' Upstream regions of *Drosophila melanogaster* genes (dm3, from the Biostrings package), a
#' quarter of them dinucleotide-shuffled, with none to three planted sites drawn from the
#' JASPAR matrix MA0036.3 (GATA2). Reads were simulated from the whole sequence: every match of
#' the matrix, planted or already in the genome, attracts reads by its occupancy (half at a
#' log-odds of 6.5 nats; 0.9 for AGATAAG), 25 bp upstream of it on the plus strand and 25 bp
#' downstream on the minus strand, on top of a flat background and a bias that the control
#' track shows. A third of the examples had a control track of zeros.
#' `data-raw/train_demo_model.py` in the source repository trains it again.
#'
#' @section Held-out performance:
#' Chromosome 3R of the fly and all of yeast were never seen in training. On windows from there,
#' with newly drawn sites, control tracks and reads (fly; yeast):
#'
#' | measure | fly chr3R | yeast chrI |
#' |---|---|---|
#' | windows | `r demo_performance("windows")` |
#' | log counts, Pearson | `r demo_performance("counts_pearson")` |
#' | the same, best possible | `r demo_performance("counts_pearson_best")` |
#' | log counts, Spearman | `r demo_performance("counts_spearman")` |
#' | profile, Jensen-Shannon distance | `r demo_performance("profile_jensen_shannon")` |
#' | the same, another window's | `r demo_performance("profile_jensen_shannon_other_window")` |
#' | the same, a flat profile | `r demo_performance("profile_jensen_shannon_flat")` |
#' | one planted site or none, AUROC | `r demo_performance("site_auroc")` |
#' | the same, best possible | `r demo_performance("site_auroc_best")` |
#' | gain in log counts, AGATAAG | `r demo_performance("log_counts_gain_AGATAAG")` |
#' | gain in log counts, GATAA | `r demo_performance("log_counts_gain_GATAA")` |
#'
#' Profiles are compared with the expected ones, counts with drawn ones. Sites are drawn from the
#' matrix, and some are too weak to tell: "best possible" is what the expected reads themselves
#' would reach. AUROC and gains are of windows without a site of their own (a summed occupancy
#' below 0.2), without a control.
#'
#' @param name Which model: `"gata"` (default) or `"motifs"`.
#' @return A `seqlift_model`. `"motifs"` has one input, the sequences (`[n, 4, 200]`), and one
#'   output (`[n, 1]`). `"gata"` has two inputs, the sequences (`[n, 4, 500]`) and `control_track`
#'   (`[n, 2, 500]`, reads of a control experiment on both strands; zeros where there is none),
#'   and two outputs: profile logits (`[n, 2, 400]`, plus and minus strand, of the 400 bp in the
#'   middle) and log counts (`[n, 1]`, natural logarithm of 1 + reads).
#'
#' @section Errors: `seqlift_error_argument` for another name; those of [load_model()].
#' @references
#' Avsec Z et al. (2021). Base-resolution models of transcription-factor binding reveal soft
#' motif syntax. *Nature Genetics* 53, 354-366. \doi{10.1038/s41588-021-00782-6}
#'
#' Fornes O et al. (2020). JASPAR 2020. *Nucleic Acids Research* 48, D87-D92.
#' \doi{10.1093/nar/gkz1001}
#' @seealso [demo_sequences()]
#' @examples
#' model <- demo_model()
#' sequences <- demo_sequences()
#' control <- array(0, c(length(sequences), 2, 500))
#' predictions <- predict(model, sequences, args = list(control_track = control))
#' predictions[[2]]
#' @export
demo_model <- function(name = c("gata", "motifs")) {
  name <- check_choice(name, c("gata", "motifs"), "name")
  load_model(demo_file(c(gata = "demo_model.pt", motifs = "demo_motif_model.pt")[[name]]))
}

demo_file <- function(file) {
  system.file("extdata", file, package = "seqlift", mustWork = TRUE)
}

#' Read the demo sequences
#'
#' Eight windows of 500 bp for [demo_model()], and 600 sequences of 200 bp for
#' `demo_model("motifs")`; the models have seen none of them in training.
#'
#' The 600, `peak_1` to `peak_600`, are random letters with sites written in: none to three of GATA,
#' AP-1, E-box and GFI1, and in half of the sequences a GATA site and an E-box whose middles are 10
#' to 30 bp apart, half of these at 14 to 18 bp. The following is of the eight.
#'
#' Untouched genome:
#' * `fly_one_site`, `fly_two_sites`: upstream regions on chromosome 3R of *Drosophila
#'   melanogaster* with one and two GATA sites of their own;
#' * `yeast_one_site`: from chromosome I of *Saccharomyces cerevisiae*, with one site of its own;
#' * `fly_no_site`, `yeast_no_site`: from the same chromosomes, without a site.
#'
#' Genome with planted sites:
#' * `fly_planted_AGATAAG`: `fly_no_site` with the full site AGATAAG written into its middle;
#' * `fly_planted_GATAA`: `fly_no_site` with only GATAA written there, a weak site;
#' * `yeast_planted_two`: `yeast_no_site` with AGATAAG planted once on each strand.
#'
#' The sequences are those that the Biostrings package carries (UCSC dm3, and the Stanford yeast
#' genome); `data-raw/make_demo_sequences.R` in the source repository chooses the windows.
#'
#' @param name For which model: `"gata"` (default) or `"motifs"`.
#' @return A named character vector of upper-case letters A, C, G and T; of `"motifs"` without
#'   attributes. Of `"gata"` with two: `origin`, where each window comes from (a named character
#'   vector, 1-based inclusive coordinates; a window on the minus strand is the reverse complement),
#'   and `sites`, a data frame with one row for each planted site and for each match of the JASPAR
#'   matrix MA0036.3 (GATA2) with a log-odds of at least 6.5 nats:
#'   \describe{
#'   \item{sequence}{name of the window}
#'   \item{start, end}{position in the window, 1-based and inclusive}
#'   \item{strand}{`"+"` or `"-"`}
#'   \item{name}{the site as read on its strand}
#'   \item{planted}{`TRUE` if it was written into the window, `FALSE` if the genome has it}
#'   }
#' @section Errors: `seqlift_error_argument` for another name.
#' @seealso [demo_model()]
#' @examples
#' sequences <- demo_sequences()
#' nchar(sequences)
#' attr(sequences, "sites")
#' @export
demo_sequences <- function(name = c("gata", "motifs")) {
  name <- check_choice(name, c("gata", "motifs"), "name")
  file <- c(gata = "demo_sequences.fa", motifs = "demo_motif_sequences.fa")[[name]]
  lines <- readLines(demo_file(file))
  is_header <- startsWith(lines, ">")
  header <- sub("^>", "", lines[is_header])
  sequences <- stats::setNames(lines[!is_header], sub(" .*", "", header))
  if (name == "motifs") {
    return(sequences)
  }
  structure(
    sequences,
    origin = stats::setNames(sub("^[^ ]* ", "", header), names(sequences)),
    sites = utils::read.delim(demo_file("demo_sites.tsv"), colClasses = c(
      "character", "integer", "integer", "character", "character", "logical"
    ))
  )
}

# The two cells of one row of demo_model()'s help page, fly and yeast, from the file that the
# training script wrote.
demo_performance <- function(measure) {
  held_out <- jsonlite::read_json(demo_file("demo_model.json"))$held_out
  values <- vapply(held_out[c("fly_chr3R", "yeast_chrI")], `[[`, numeric(1L), measure)
  paste(round(values, 3L), collapse = " | ")
}

demo_motif_performance <- function(measure) {
  round(jsonlite::read_json(demo_file("demo_motif_model.json"))$held_out[[measure]], 2L)
}
