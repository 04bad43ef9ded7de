#' For those who come from tangermeme
#'
#' Which function does what one of tangermeme 1.4.0 does, and what is counted or named otherwise.
#'
#' | tangermeme | seqlift |
#' |---|---|
#' | `predict` | [predict()][predict.seqlift_model] |
#' | `deep_lift_shap(additional_nonlinear_ops = )` | [deep_lift_shap()], `nonlinear_ops =`; its own numbers with `rules = "module"` |
#' | `hypothetical_attributions` | [hypothetical_attributions()] |
#' | `saturation_mutagenesis`, `ism` | [saturation_mutagenesis()] |
#' | `saliency` | [attribute()], `method = "saliency"` |
#' | `pisa` | [pisa()] |
#' | `dependency_map` | [dependency_map()] |
#' | `marginalize`, `marginalize_annotations` | [marginalize()], [marginalize_annotations()] |
#' | `ablate`, `ablate_annotations` | [ablate()], [ablate_annotations()] |
#' | `space` | [space_motifs()] |
#' | `substitution_effect`, `deletion_effect`, `insertion_effect` | the same, and [variant_effect()] for a table of all kinds |
#' | `apply_pairwise`, `apply_product` | [apply_pairwise()], [apply_product()] |
#' | `ersatz.substitute`, `ersatz.multisubstitute` | [substitute_motif()], [substitute_motifs()] |
#' | `ersatz.insert`, `ersatz.delete` | [insert_motif()], [delete_region()] |
#' | `ersatz.randomize`, `ersatz.shuffle` | [randomize_region()], [shuffle_region()] |
#' | `ersatz.dinucleotide_shuffle` | [dinucleotide_shuffle()] |
#' | `seqlet.recursive_seqlets`, `seqlet.tfmodisco_seqlets` | [recursive_seqlets()], [tfmodisco_seqlets()] |
#' | `design.greedy_substitution`, `design.greedy_marginalize`, `design.screen` | [greedy_substitution()], [greedy_marginalization()], [screen_sequences()] |
#' | `io.extract_loci` | [sequences_from()], signals with [signal_from()] |
#' | `match.extract_matching_loci` | [matched_regions()] |
#' | `io.read_meme`, `io.read_vcf` | [read_motifs()], [variants_from()] |
#' | `io.one_hot_to_fasta` | [decode_one_hot()], then `Biostrings::writeXStringSet()` |
#' | `utils.one_hot_encode`, `utils.characters` | [one_hot_encode()], [decode_one_hot()] |
#' | `utils.random_one_hot`, `utils.reverse_complement` | [random_one_hot()], [reverse_complement()] |
#' | `utils.chunk`, `utils.unchunk` | [chunk_sequences()], [unchunk_sequences()] |
#' | `utils.pwm_consensus`, `utils.gc_content` | [pwm_consensus()], [gc_content()] |
#' | `plot.plot_logo`, `plot.plot_attributions` | [plot_logo()] |
#' | `plot.plot_categorical_scatter` | [plot_marginalization()], `type = "scatter"` |
#'
#' @section What is counted otherwise:
#' * Positions count from 1, and ranges hold their last position: Python's `start = 10, end = 20` is
#'   `start = 11, end = 20` here.
#' * `target` counts from 1: Python's `target = 0` is `target = 1`. Several targets are
#'   one call, `target = 1:3`.
#' * `args` is a list, also for one extra input: `args = list(control)`.
#' * A model is a file, see [load_model()]: `torch.jit.trace(model, X).save(path)` writes it. One
#'   output of several is chosen with [select_output()] in place of a wrapper class.
#' * The same `random_state` gives the same shuffles and random sequences.
#' * Results are R arrays with the sequence as first dimension, in the order of Python's; before and
#'   after of a perturbation are `result$before` and `result$after`.
#' * An operation that is not linear has a rule wherever it stands in the model's code;
#'   `additional_nonlinear_ops` has become unnecessary for most models.
#'
#' @name from_tangermeme
#' @concept tangermeme
#' @concept ersatz
#' @concept additional_nonlinear_ops
#' @concept in silico mutagenesis
#' @concept predict
#' @concept deep_lift_shap
#' @concept hypothetical_attributions
#' @concept saturation_mutagenesis
#' @concept ism
#' @concept saliency
#' @concept pisa
#' @concept dependency_map
#' @concept marginalize
#' @concept marginalize_annotations
#' @concept ablate
#' @concept ablate_annotations
#' @concept space
#' @concept substitution_effect
#' @concept deletion_effect
#' @concept insertion_effect
#' @concept apply_pairwise
#' @concept apply_product
#' @concept substitute
#' @concept multisubstitute
#' @concept insert
#' @concept delete
#' @concept randomize
#' @concept shuffle
#' @concept dinucleotide_shuffle
#' @concept recursive_seqlets
#' @concept tfmodisco_seqlets
#' @concept greedy_substitution
#' @concept greedy_marginalize
#' @concept screen
#' @concept extract_loci
#' @concept extract_matching_loci
#' @concept read_meme
#' @concept read_vcf
#' @concept one_hot_to_fasta
#' @concept one_hot_encode
#' @concept characters
#' @concept random_one_hot
#' @concept reverse_complement
#' @concept chunk
#' @concept unchunk
#' @concept pwm_consensus
#' @concept gc_content
#' @concept plot_logo
#' @concept plot_attributions
#' @concept plot_categorical_scatter
#' @examples
#' # tangermeme: substitute(X, "GATA", start=3)
#' substitute_motif("ACGTACGTAC", "GATA", start = 4) |> decode_one_hot()
NULL
