# The literature of the methods: one table, and which of it a result was computed by. The help pages
# name the same papers (tests compare).

# `page`: a help page that cites it.
paper <- function(key, page, authors, year, title, journal, doi = NA_character_) {
  data.frame(key, page, authors, year, title, journal, doi)
}

# Every paper: those of the table below, and those that a verb's own file cites, each such file by a
# function cited_by_*() that gives rows of papers.
literature <- function() {
  package <- topenv()
  citing <- mget(ls(package, pattern = "^cited_by_"), envir = package)
  do.call(rbind, c(list(shared_literature), unname(lapply(citing, function(rows) rows()))))
}

shared_literature <- rbind(
  paper("shrikumar2017", "deep_lift_shap", "Shrikumar A, Greenside P, Kundaje A", 2017L,
    "Learning important features through propagating activation differences",
    "Proceedings of Machine Learning Research 70, 3145-3153"),
  paper("lundberg2017", "deep_lift_shap", "Lundberg SM, Lee S-I", 2017L,
    "A unified approach to interpreting model predictions",
    "Advances in Neural Information Processing Systems 30"),
  paper("simonyan2014", "attribute", "Simonyan K, Vedaldi A, Zisserman A", 2014L,
    paste("Deep inside convolutional networks: visualising image classification models and",
      "saliency maps"), "arXiv:1312.6034"),
  paper("sundararajan2017", "attribute", "Sundararajan M, Taly A, Yan Q", 2017L,
    "Axiomatic attribution for deep networks",
    "Proceedings of Machine Learning Research 70, 3319-3328"),
  paper("erion2021", "attribute", "Erion G, Janizek JD, Sturmfels P, Lundberg SM, Lee S-I", 2021L,
    paste("Improving performance of deep learning models with axiomatic attribution priors and",
      "expected gradients"),
    "Nature Machine Intelligence 3, 620-631", "10.1038/s42256-021-00343-w"),
  paper("smilkov2017", "attribute", "Smilkov D, Thorat N, Kim B, Viegas F, Wattenberg M", 2017L,
    "SmoothGrad: removing noise by adding noise", "arXiv:1706.03825"),
  paper("springenberg2015", "attribute", "Springenberg JT, Dosovitskiy A, Brox T, Riedmiller M",
    2015L, "Striving for simplicity: the all convolutional net", "arXiv:1412.6806"),
  paper("zeiler2014", "attribute", "Zeiler MD, Fergus R", 2014L,
    "Visualizing and understanding convolutional networks",
    "European Conference on Computer Vision, 818-833", "10.1007/978-3-319-10590-1_53"),
  paper("majdandzic2023", "taylor_ism", "Majdandzic A, Rajesh C, Koo PK", 2023L,
    "Correcting gradient-based interpretations of deep neural networks for genomics",
    "Genome Biology 24, 109", "10.1186/s13059-023-02956-3"),
  paper("nair2022", "saturation_mutagenesis", "Nair S, Shrikumar A, Schreiber J, Kundaje A",
    2022L,
    "fastISM: performant in silico saturation mutagenesis for convolutional neural networks",
    "Bioinformatics 38, 2397-2403", "10.1093/bioinformatics/btac135"),
  paper("mcanany2025", "pisa", "McAnany CE, Weilert M and others", 2025L,
    paste("PISA: a versatile interpretation tool for visualizing cis-regulatory rules in genomic",
      "data"), "bioRxiv"),
  paper("dasilva2024", "dependency_map",
    paste("Tomaz da Silva P, Karollus A, Hingerl J, Galindez G, Wagner N, Hernandez-Alias X,",
      "Incarnato D, Gagneur J"), 2024L,
    paste("Nucleotide dependency analysis of DNA language models reveals genomic functional",
      "elements"), "bioRxiv"),
  paper("altschul1985", "dinucleotide_shuffle", "Altschul SF, Erickson BW", 1985L,
    paste("Significance of nucleotide sequence alignments: a method for random sequence",
      "permutation that preserves dinucleotide and codon usage"),
    "Molecular Biology and Evolution 2, 526-538", "10.1093/oxfordjournals.molbev.a040370"),
  paper("welford1962", "standard_errors", "Welford BP", 1962L,
    "Note on a method for calculating corrected sums of squares and products",
    "Technometrics 4, 419-420", "10.1080/00401706.1962.10490022"),
  paper("shrikumar2018", "discover_motifs", "Shrikumar A and others", 2018L,
    "Technical note on transcription factor motif discovery from importance scores (TF-MoDISco)",
    "arXiv:1811.00416"),
  paper("traag2019", "discover_motifs", "Traag VA, Waltman L, van Eck NJ", 2019L,
    "From Louvain to Leiden: guaranteeing well-connected communities",
    "Scientific Reports 9, 5233", "10.1038/s41598-019-41695-z"),
  paper("gupta2007", "tomtom", "Gupta S, Stamatoyannopoulos JA, Bailey TL, Noble WS", 2007L,
    "Quantifying similarity between motifs", "Genome Biology 8, R24", "10.1186/gb-2007-8-2-r24"),
  paper("tanaka2011", "tomtom", "Tanaka E, Bailey T, Grant CE, Noble WS, Keich U", 2011L,
    "Improved similarity scores for comparing motifs", "Bioinformatics 27, 1603-1609",
    "10.1093/bioinformatics/btr257"),
  paper("beck2009", "call_hits", "Beck A, Teboulle M", 2009L,
    "A fast iterative shrinkage-thresholding algorithm for linear inverse problems",
    "SIAM Journal on Imaging Sciences 2, 183-202", "10.1137/080716542"),
  paper("kim2007", "call_hits", "Kim S-J, Koh K, Lustig M, Boyd S, Gorinevsky D", 2007L,
    "An interior-point method for large-scale l1-regularized least squares",
    "IEEE Journal of Selected Topics in Signal Processing 1, 606-617",
    "10.1109/JSTSP.2007.910971"),
  paper("benjamini1995", "score_variants", "Benjamini Y, Hochberg Y", 1995L,
    "Controlling the false discovery rate: a practical and powerful approach to multiple testing",
    "Journal of the Royal Statistical Society B 57, 289-300",
    "10.1111/j.2517-6161.1995.tb02031.x"),
  paper("phipson2010", "score_variants", "Phipson B, Smyth GK", 2010L,
    paste("Permutation p-values should never be zero: calculating exact p-values when",
      "permutations are randomly drawn"),
    "Statistical Applications in Genetics and Molecular Biology 9, 39",
    "10.2202/1544-6115.1585"),
  paper("yeh2019", "attribution_quality", "Yeh C-K, Hsieh C-Y, Suggala A, Inouye DI, Ravikumar P",
    2019L, "On the (in)fidelity and sensitivity of explanations",
    "Advances in Neural Information Processing Systems 32"),
  paper("petsiuk2018", "attribution_quality", "Petsiuk V, Das A, Saenko K", 2018L,
    "RISE: randomized input sampling for explanation of black-box models",
    "British Machine Vision Conference"),
  paper("avsec2021", "motif_cooperativity", "Avsec Z and others", 2021L,
    "Base-resolution models of transcription-factor binding reveal soft motif syntax",
    "Nature Genetics 53, 354-366", "10.1038/s41588-021-00782-6"),
  paper("bliss1939", "motif_cooperativity", "Bliss CI", 1939L,
    "The toxicity of poisons applied jointly", "Annals of Applied Biology 26, 585-615",
    "10.1111/j.1744-7348.1939.tb06990.x"),
  paper("greenside2018", "pairwise_interactions", "Greenside P, Shimko T, Fordyce P, Kundaje A",
    2018L,
    paste("Discovering epistatic feature interactions from neural network models of regulatory",
      "DNA sequences"), "Bioinformatics 34, i629-i637", "10.1093/bioinformatics/bty575")
)

# Methods of attribution, as a result calls them -> their papers. A result may say itself which they
# are: the keys in `info$papers`.
literature_of_methods <- list(
  `DeepLIFT/SHAP` = c("shrikumar2017", "lundberg2017"), DeepLIFT = "shrikumar2017",
  saliency = "simonyan2014", `gradient x input` = "shrikumar2017",
  `integrated gradients` = "sundararajan2017", `expected gradients` = "erion2021",
  SmoothGrad = "smilkov2017", `guided backpropagation` = "springenberg2015",
  deconvolution = "zeiler2014", `Taylor ISM` = "sasse2024",
  `saturation mutagenesis (incremental)` = "nair2022", `saturation mutagenesis` = character()
)

#' Name the papers of what was run
#'
#' The literature of the methods that results were computed by, for the methods section of a paper:
#' the method of attribution and its references, discovery of motifs, their comparison, hits,
#' p-values of variants. `citation("seqlift")` says how to cite the package itself.
#'
#' What a result does not know cannot be named: cite the model's own paper, and those of the data.
#' Methods that no paper describes (recursive seqlets, designs) add nothing.
#'
#' @param ... Results of this package: attributions, of [pisa()], [dependency_map()],
#'   [discover_motifs()], [tomtom()], [annotate_seqlets()], [call_hits()], [tfmodisco_seqlets()],
#'   [score_variants()], [attribution_quality()], [motif_cooperativity()],
#'   [pairwise_interactions()]; or lists of such.
#' @return A data frame of class `seqlift_literature` with a row for each paper, in the order of
#'   use: `used_for`, `authors`, `year`, `title`, `journal`, `doi` (`NA` where it has none) and
#'   `key`. It prints as a list; `utils::toBibtex()` makes BibTeX of it.
#' @section Errors: `seqlift_error_argument` for what is no result of this package, and for nothing.
#' @source Each paper is cited in the help page of its method.
#' @seealso [references()] for the sequences that attributions were compared with
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- deep_lift_shap(model, demo_sequences()[1:2], n_shuffles = 5, random_state = 0)
#' methods_references(attributions, tfmodisco_seqlets(attributions))
methods_references <- function(...) {
  call <- rlang::current_env()
  results <- list(...)
  if (length(results) == 0L) {
    abort_argument("...", "at least one result", "nothing", call = call)
  }
  used <- do.call(rbind, lapply(results, papers_of, call = call))
  used <- used[!duplicated(used$key), ]
  known <- literature()
  rows <- known[match(used$key, known$key), ]
  table <- data.frame(
    used_for = used$used_for, rows[c("authors", "year", "title", "journal", "doi", "key")],
    row.names = NULL
  )
  structure(table, class = c("seqlift_literature", "data.frame"))
}

papers <- function(used_for, keys) {
  data.frame(used_for = rep(used_for, length(keys)), key = as.character(keys))
}

# Results of one method each, by their class; list(used_for, keys).
papers_of_classes <- list(
  seqlift_pisa = list("profile influence (PISA)", c("mcanany2025", "shrikumar2017")),
  seqlift_dependency_map = list("dependency map", "dasilva2024"),
  seqlift_motifs = list("discovery of motifs", c("shrikumar2018", "traag2019")),
  seqlift_hits = list("hits of motifs", c("beck2009", "kim2007")),
  seqlift_attribution_quality = list("quality of attributions", c("yeh2019", "petsiuk2018")),
  seqlift_motif_cooperativity = list("cooperativity of motifs", c("avsec2021", "bliss1939")),
  # What no paper describes.
  seqlift_design = list("other", character()),
  seqlift_perturbation = list("other", character()),
  seqlift_audit = list("other", character())
)

# A data frame of used_for and key.
papers_of <- function(x, call) {
  attributions <- c(
    "seqlift_attributions", "seqlift_layer_attributions", "seqlift_h5_attributions"
  )
  if (inherits(x, attributions)) {
    return(papers_of_attributions(x))
  }
  known <- intersect(class(x), names(papers_of_classes))
  if (length(known) > 0L) {
    return(do.call(papers, papers_of_classes[[known[1L]]]))
  }
  if (is.list(x) && !is.object(x) && length(x) > 0L) {
    return(do.call(rbind, lapply(unname(x), papers_of, call = call)))
  }
  found <- if (is.data.frame(x)) papers_of_table(x)
  if (is.null(found)) {
    abort_argument("...", "results of this package", describe(x), call = call)
  }
  found
}

# Of a table without a class of its own, told by its columns; NULL for any other.
papers_of_table <- function(x) {
  has <- function(...) all(c(...) %in% names(x))
  if (has("offset", "overlap", "score")) {
    papers("comparison of motifs", c("gupta2007", "tanaka2011"))
  } else if (has("first_start", "second_end")) {
    papers("interactions", "greenside2018")
  } else if (has("chromosome", "position", "ref", "alt")) {
    tested <- any(grepl("[.]p_value$", names(x)))
    papers("p-values of variants", if (tested) c("phipson2010", "benjamini1995"))
  } else if (has("example", "start", "end", "p_value")) {
    # Recursive seqlets have p-values.
    papers("seqlets", if (all(is.na(x$p_value)) && nrow(x) > 0L) "shrikumar2018")
  } else if (has("example", "start", "end")) {
    papers("other", character())
  }
}

papers_of_attributions <- function(x) {
  info <- attr(x, "info", exact = TRUE)
  if (inherits(x, "seqlift_h5_attributions")) {
    info <- attr(x[1L, , ], "info", exact = TRUE)
  }
  method <- info$method %||% ""
  # The longest name that the method begins with.
  known <- names(literature_of_methods)[startsWith(method, names(literature_of_methods))]
  known <- known[which.max(nchar(known))]
  errors <- !is.null(attr(x, "standard_errors", exact = TRUE))
  corrected <- grepl("corrected|simplex", method)
  rbind(
    papers("attributions", info$papers %||% unlist(literature_of_methods[known])),
    papers("corrected gradients", if (corrected) "majdandzic2023"),
    papers("operations without a rule", if (length(info$integrated) > 0L) "sundararajan2017"),
    papers("references", if (identical(info$references, "dinucleotide_shuffle")) "altschul1985"),
    papers("standard errors", if (errors) "welford1962")
  )
}

#' @export
print.seqlift_literature <- function(x, ...) {
  if (nrow(x) == 0L) {
    cat_text("No paper describes what was run.")
    return(invisible(x))
  }
  for (use in unique(x$used_for)) {
    cat_text(use, ":")
    own <- x[x$used_for == use, ]
    for (i in seq_len(nrow(own))) {
      text <- paste0(
        own$authors[i], " (", own$year[i], "). ", own$title[i], ". ", own$journal[i],
        if (!is.na(own$doi[i])) paste0(". doi:", own$doi[i]), "."
      )
      cat(strwrap(text, getOption("width"), indent = 2L, exdent = 4L), sep = "\n")
    }
  }
  invisible(x)
}

#' @rdname seqlift_results
#' @export
summary.seqlift_literature <- function(object, ...) {
  uses <- unique(object$used_for)
  own <- split(object, factor(object$used_for, uses))
  summary_table(
    used_for = as.character(uses), papers = vapply(own, nrow, 1L, USE.NAMES = FALSE),
    years = vapply(own, function(rows) toString(sort(rows$year)), "", USE.NAMES = FALSE)
  )
}

#' @importFrom utils toBibtex
#' @export
toBibtex.seqlift_literature <- function(object, ...) {
  entries <- lapply(seq_len(nrow(object)), function(i) {
    one <- object[i, ]
    # Initials behind the name, as the table has them.
    authors <- strsplit(sub(" and others$", ", others", one$authors), ", ", fixed = TRUE)[[1L]]
    authors <- sub("^(.*) ([A-Z-]+)$", "\\1, \\2", authors)
    c(
      paste0("@article{", one$key, ","),
      paste0("  author = {", paste(authors, collapse = " and "), "},"),
      paste0("  title = {", one$title, "},"), paste0("  journal = {", one$journal, "},"),
      paste0("  year = {", one$year, "},"),
      if (!is.na(one$doi)) paste0("  doi = {", one$doi, "},"), "}"
    )
  })
  structure(unlist(entries), class = "Bibtex")
}
