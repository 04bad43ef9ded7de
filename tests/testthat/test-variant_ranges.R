# chr1:5-16 is ACGGATTACAGG; chr1:8-19 on the minus strand is ATGCCTGTAATC.
both_strands <- function() {
  sequences_from(
    GenomicRanges::GRanges(c("chr1:5-16:+", "chr1:8-19:-")),
    Biostrings::DNAStringSet(c(chr1 = "ACGTACGGATTACAGGCATCACGTTT"))
  )
}

some_variants <- function() {
  GenomicRanges::GRanges(
    c(snv = "chr1:10", deletion = "chr1:14-15", insertion = "chr1:12", other = "chr1:10-12"),
    REF = c("T", "AG", "A", "TTA"), ALT = c("C", "A", "AT", "GG")
  )
}

write_vcf <- function(folder, ...) {
  path <- file.path(folder, "variants.vcf")
  writeLines(c(
    "##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    paste0(gsub(" ", "\t", c(...)), "\t.\t.\t.")
  ), path)
  path
}

# What the variants make of the sequences, on the plus strand of the genome.
apply_by_hand <- function(table, X) {
  letters <- as.character(X)[table$example]
  after <- paste0(
    substr(letters, 1, table$start - 1), table$alt, substr(letters, table$end + 1, nchar(letters))
  )
  minus <- table$example == 2L
  after[minus] <- as.character(
    Biostrings::reverseComplement(Biostrings::DNAStringSet(after[minus]))
  )
  unname(after)
}

test_that("variants stand where they belong on both strands", {
  skip_without_genomes()
  X <- both_strands()
  table <- variants_from(some_variants(), X)
  expect_identical(table$variant, rep(names(some_variants()), each = 2))
  expect_identical(
    table$kind, rep(c("substitution", "deletion", "insertion", "replacement"), each = 2)
  )
  expect_identical(table$example, rep(1:2, 4))
  expect_identical(table$position, c(6L, 10L, 11L, 5L, 9L, 8L, 6L, 8L))
  expect_identical(table$end - table$start + 1L, nchar(table$ref))
  expect_identical(table$ref, c("T", "A", "G", "C", "", "", "TTA", "TAA"))
  expect_identical(table$alt, c("C", "G", "", "", "T", "A", "GG", "CC"))
  # On the genome, chr1:5-16 and chr1:8-19 change alike.
  expect_identical(apply_by_hand(table, X), c(
    "ACGGACTACAGG", "GACTACAGGCAT", "ACGGATTACAG", "GATTACAGCAT", "ACGGATTATCAGG", "GATTATCAGGCAT",
    "ACGGAGGCAGG", "GAGGCAGGCAT"
  ))
})

test_that("VRanges, VCF objects and VCF files say the same", {
  skip_without_genomes("VariantAnnotation")
  X <- both_strands()
  variants <- some_variants()
  expected <- variants_from(unname(variants), X)
  expect_identical(expected$variant[1:2], rep("chr1:10_T/C", 2))
  ranges <- VariantAnnotation::VRanges("chr1", IRanges::ranges(unname(variants)),
    ref = variants$REF, alt = variants$ALT, sampleNames = "s"
  )
  expect_identical(variants_from(ranges, X), expected)
  folder <- new_folder()
  path <- write_vcf(folder,
    "chr1 10 . T C", "chr1 14 . AG A", "chr1 12 . A AT", "chr1 10 . TTA GG"
  )
  collapsed <- VariantAnnotation::readVcf(path)
  for (form in list(path, collapsed, VariantAnnotation::expand(collapsed))) {
    expect_identical(variants_from(form, X), expected)
  }
  written <- file.path(folder, "again.vcf")
  # It warns of a file without genotypes.
  suppressWarnings(VariantAnnotation::writeVcf(collapsed, written))
  expect_identical(variants_from(written, X), expected)
  compressed <- Rsamtools::bgzip(path, file.path(folder, "variants.vcf.gz"))
  expect_identical(variants_from(compressed, X), expected)
})

test_that("several alternatives are rows of their own, shared letters are left out", {
  skip_without_genomes("VariantAnnotation")
  path <- write_vcf(new_folder(), "chr1 10 rs1 T C,G", "chr1 9 rs2 ATTACA ATTTCA,ATTA")
  table <- variants_from(path, both_strands()[1])
  expect_identical(table$variant, c("rs1_T/C", "rs1_T/G", "rs2_ATTACA/ATTTCA", "rs2_ATTACA/ATTA"))
  expect_identical(table$position, c(6L, 6L, 8L, 8L))
  expect_identical(nchar(table$ref), c(1L, 1L, 1L, 2L))
  expect_identical(table$alt, c("C", "G", "T", ""))
  expect_identical(apply_by_hand(table, both_strands()), c(
    "ACGGACTACAGG", "ACGGAGTACAGG", "ACGGATTTCAGG", "ACGGATTAGG"
  ))
})

test_that("edges: the first and last base are in, an insertion needs both its neighbours", {
  skip_without_genomes()
  X <- both_strands()[1]
  place <- function(at, ref, alt) {
    variants_from(GenomicRanges::GRanges(at, REF = ref, ALT = alt), X)$position
  }
  expect_identical(place(c("chr1:5", "chr1:16"), c("A", "G"), c("C", "T")), c(1L, 12L))
  # Anchored on base 15: between the last two.
  expect_identical(place("chr1:15", "G", "GT"), 12L)
  # A deletion of the first base has its anchor outside.
  expect_identical(place("chr1:4-5", "TA", "T"), 1L)
  for (outer in list(
    list("chr1:4", "T", "C"), list("chr1:17", "C", "T"), list("chr1:4", "T", "TA"),
    list("chr1:16", "G", "GA"), list("chr1:16-17", "GC", "TT"), list("chr2:5", "A", "C")
  )) {
    expect_error(do.call(place, outer), "in no sequence", class = "seqlift_error_variants")
  }
})

test_that("variants outside are refused or dropped, names in another style explained", {
  skip_without_genomes()
  X <- both_strands()
  variants <- GenomicRanges::GRanges(c(inside = "chr1:10", far = "chr1:25"),
    REF = "T", ALT = "A"
  )
  expect_error(variants_from(variants, X), "1 of the 2 .*far", class = "seqlift_error_variants")
  expect_message(
    table <- variants_from(variants, X, outside = "drop"), "Dropped 1 of 2",
    class = "seqlift_message_dropped"
  )
  expect_identical(table$variant, c("inside", "inside"))
  plain <- GenomicRanges::GRanges("1:10", REF = "T", ALT = "A")
  expect_error(variants_from(plain, X, outside = "drop"), "seqlevelsStyle",
    class = "seqlift_error_variants"
  )
})

test_that("reference letters are checked, also those that both alleles share", {
  skip_without_genomes()
  X <- both_strands()
  wrong <- function(at, ref, alt, message) {
    expect_error(
      variants_from(GenomicRanges::GRanges(c(v1 = at), REF = ref, ALT = alt), X), message,
      class = "seqlift_error_variants"
    )
  }
  wrong("chr1:10", "A", "G", "v1 at chr1:10: REF is A, sequence 1 has T")
  # Here on the minus strand alone: its letters are told as those of the plus strand.
  wrong("chr1:18", "C", "G", "v1 at chr1:18: REF is C, sequence 2 has A")
  wrong("chr1:12", "C", "CT", "REF is C, sequence 1 has A")
  wrong("chr1:14-15", "TG", "T", "REF is TG, sequence 1 has AG")
})

test_that("what is not spelled out is refused by its name", {
  skip_without_genomes("VariantAnnotation")
  X <- both_strands()
  folder <- new_folder()
  refused <- function(record, message) {
    path <- write_vcf(folder, "chr1 11 fine T C", record)
    expect_error(variants_from(path, X, strict = TRUE), message, class = "seqlift_error_variants")
    expect_message(table <- variants_from(path, X), message, class = "seqlift_message_dropped")
    expect_true("fine" %in% table$variant)
  }
  refused("chr1 10 rs1 T <DEL>", "rs1 at chr1:10 has ALT <DEL>")
  refused("chr1 10 rs1 T C,*", "rs1 at chr1:10 has ALT [*]")
  refused("chr1 10 rs1 T .", "rs1 at chr1:10 has no ALT")
  refused("chr1 10 rs1 T T[chr2:5[", "rs1 at chr1:10 has ALT T.chr2:5.")
  same <- GenomicRanges::GRanges(c(v1 = "chr1:10"), REF = "T", ALT = "T")
  expect_error(variants_from(same, X), "which is its REF", class = "seqlift_error_variants")
  minus <- GenomicRanges::GRanges(c(v1 = "chr1:10:-"), REF = "A", ALT = "T")
  expect_error(variants_from(minus, X), "strand -", class = "seqlift_error_variants")
})

test_that("other arguments are named", {
  skip_without_genomes("VariantAnnotation")
  X <- both_strands()
  variants <- some_variants()
  refused <- function(..., class) {
    expect_error(variants_from(...), class = paste0("seqlift_error_", class))
  }
  refused(3, X, class = "argument")
  refused(variants, as.character(X), class = "argument")
  refused(variants, X, outside = "keep", class = "argument")
  refused(variants[0], X, class = "variants")
  refused(GenomicRanges::granges(variants), X, class = "variants")
  refused("no_such.vcf", X, class = "file")
  text <- file.path(new_folder(), "text.vcf")
  writeLines("no VCF", text)
  refused(text, X, class = "file")
  refused(variants, Biostrings::DNAStringSet("ACGT"), class = "regions")
  refused(variants, Biostrings::subseq(X, 1, 5), class = "regions")
  GenomeInfoDb::seqlengths(variants) <- 27L
  refused(variants, X, class = "regions")
})

test_that("the verbs take genomic variants of their kind", {
  skip_without_genomes("VariantAnnotation")
  X <- both_strands()
  variants <- some_variants()
  after <- function(verb, variants, ...) {
    watch <- letters_seen()
    verb(NULL, X, variants, func = watch$func, ...)
    watch$seen()[[2L]]
  }
  path <- write_vcf(new_folder(), "chr1 10 rs1 T C")
  for (form in list(variants["snv"], path, VariantAnnotation::readVcf(path))) {
    expect_identical(after(substitution_effect, form), c("ACGGACTACAGG", "ATGCCTGTAGTC"))
  }
  expect_identical(after(deletion_effect, variants["deletion"]), c("ACGGATTACAG", "ATGCTGTAATC"))
  expect_identical(
    after(insertion_effect, variants["insertion"]), c("ACGGATTATCAG", "ATGCCTGATAAT")
  )
  expect_error(after(substitution_effect, variants), "substitutions alone.*deletion",
    class = "seqlift_error_variants"
  )
  expect_error(substitution_effect(NULL, as.character(X), variants, func = function(model, X) X),
    "knows its ranges",
    class = "seqlift_error_variants"
  )
  # Each alone, cut to what the deletion leaves.
  expect_identical(substr(after(variant_effect, variants), 1L, 11L), c(
    "ACGGACTACAG", "ATGCCTGTAGT", "ACGGATTACAG", "ATGCTGTAATC", "ACGGATTATCA", "ATGCCTGATAA",
    "ACGGAGGCAGG", "ATGCCTGCCTC"
  ))
})
