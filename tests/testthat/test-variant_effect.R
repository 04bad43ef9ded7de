X <- c(first = "ACGTACGTACGT", second = "AAAACCCCGGGG", third = "TTTTTTTTTTTT")

letters_after <- function(verb, ..., X = get("X", envir = parent.frame())) {
  watch <- letters_seen()
  verb(NULL, X, ..., func = watch$func)
  stats::setNames(watch$seen(), c("before", "after"))
}

test_that("substitutions are made where they belong, sequences without one stay", {
  table <- data.frame(
    example = c(1, 2, 1), position = c(1, 12, 5), alt = c("T", "a", "GG"), ref = c("A", "g", "AC")
  )
  seen <- letters_after(substitution_effect, table)
  expect_identical(seen$before, unname(X))
  expect_identical(seen$after, c("TCGTGGGTACGT", "AAAACCCCGGGA", "TTTTTTTTTTTT"))
  by_name <- transform(table, example = names(X)[example])
  expect_identical(letters_after(substitution_effect, by_name), seen)
  expect_identical(letters_after(substitution_effect, table, X = one_hot_encode(X)), seen)
  # A column that only begins like `ref` is no reference.
  other <- stats::setNames(table, c("example", "position", "alt", "ref_genome"))
  other$ref_genome <- "hg38"
  expect_identical(letters_after(substitution_effect, other), seen)
})

test_that("the effect is the change of the prediction", {
  X <- test_sequences()
  model <- test_model("tiny")
  table <- data.frame(example = 2, position = 4, ref = "T", alt = "C")
  result <- substitution_effect(model, X, table, dtype = "float64")
  edited <- replace(X, 2L, "GGACTACAGATC")
  expected <- t(apply(one_hot_encode(edited), 1L, tiny_by_hand))
  expect_equal(numbers_of(result$after), unname(expected), tolerance = 1e-7)
  effects <- as.data.frame(result)
  expect_identical(effects$effect[effects$sequence != "two"], rep(0, 6L))
  expect_true(all(abs(effects$effect[effects$sequence == "two"]) > 1e-4))
})

test_that("deleted bases close up and what is too much is cut from the end", {
  table <- data.frame(example = c(1, 1, 2), position = c(2, 4, 5))
  seen <- letters_after(deletion_effect, table)
  expect_identical(seen$before, c("ACGTACGTAC", "AAAACCCCGG", "TTTTTTTTTT"))
  expect_identical(seen$after, c("AGACGTACGT", "AAAACCCGGG", "TTTTTTTTTT"))
  seen <- letters_after(deletion_effect, table, left = TRUE)
  expect_identical(seen$before, c("GTACGTACGT", "AACCCCGGGG", "TTTTTTTTTT"))
  expect_identical(seen$after, c("AGACGTACGT", "AAACCCGGGG", "TTTTTTTTTT"))
})

test_that("deletions among the positions that are cut, and of the last base, are made", {
  table <- data.frame(example = c(1, 1, 2), position = c(2, 4, 12))
  seen <- letters_after(deletion_effect, table)
  expect_identical(seen$after, c("AGACGTACGT", "AAAACCCCGG", "TTTTTTTTTT"))
  seen <- letters_after(deletion_effect, data.frame(example = 1, position = 12))
  expect_identical(seen$after, c("ACGTACGTACG", "AAAACCCCGGG", "TTTTTTTTTTT"))
  seen <- letters_after(deletion_effect, data.frame(example = 1, position = 12), left = TRUE)
  expect_identical(seen$after, c("ACGTACGTACG", "AAACCCCGGGG", "TTTTTTTTTTT"))
})

test_that("ranges are deleted, with the letters checked", {
  table <- data.frame(example = c(1, 2), start = c(2, 5), end = c(4, 6), ref = c("CGT", "CC"))
  seen <- letters_after(deletion_effect, table)
  expect_identical(seen$after, c("AACGTACGT", "AAAACCGGG", "TTTTTTTTT"))
  single <- data.frame(example = c(1, 1, 1, 2, 2), position = c(2:4, 5:6))
  expect_identical(letters_after(deletion_effect, single), seen)
})

test_that("inserted bases stand before their position, and the length stays", {
  table <- data.frame(example = c(1, 2, 2), position = c(1, 5, 9), alt = c("TT", "g", "T"))
  seen <- letters_after(insertion_effect, table)
  expect_identical(seen$before, unname(X))
  expect_identical(seen$after, c("TTACGTACGTAC", "AAAAGCCCCTGG", "TTTTTTTTTTTT"))
  seen <- letters_after(insertion_effect, table, left = TRUE)
  expect_identical(seen$after, c("ACGTACGTACGT", "AAGCCCCTGGGG", "TTTTTTTTTTTT"))
})

test_that("insertions at one place keep the order of the rows, and the end is a place", {
  table <- data.frame(example = 2, position = c(5, 5, 5), alt = c("T", "G", "TC"))
  expect_identical(letters_after(insertion_effect, table)$after[2L], "AAAATGTCCCCC")
  end <- data.frame(example = 3, position = 13, alt = "AC")
  expect_identical(letters_after(insertion_effect, end)$after[3L], "TTTTTTTTTTTT")
  expect_identical(letters_after(insertion_effect, end, left = TRUE)$after[3L], "TTTTTTTTTTAC")
})

test_that("all outputs and the other inputs are kept", {
  model <- test_model("two_heads")
  track <- array(seq_len(72) / 72, c(3, 2, 12))
  table <- data.frame(example = 2, position = 4, alt = "C")
  result <- substitution_effect(model, X, table, args = list(track))
  expect_equal(result$before, predict(model, X, args = list(track)), tolerance = 1e-6)
  expect_equal(
    result$after, predict(model, replace(X, 2L, "AAACCCCCGGGG"), args = list(track)),
    tolerance = 1e-6
  )
  shorter <- deletion_effect(model, X, data.frame(example = 1, position = 1),
    args = list(track[, , 1:11])
  )
  expect_identical(dim(shorter$after[[1L]]), c(3L, 2L, 7L))
})

test_that("extra channels lose deleted positions, and are refused by insertions", {
  tracks <- array(0, c(3L, 5L, 12L))
  tracks[, 1:4, ] <- one_hot_encode(X)
  tracks[, 5L, ] <- rep(1:12, each = 3L)
  result <- deletion_effect(NULL, tracks, data.frame(example = 1, position = 2),
    func = function(model, X) X[, 5L, ]
  )
  expect_identical(unname(result$after[1:2, ]), rbind(c(1, 3:12), as.numeric(1:11)))
  expect_error(insertion_effect(NULL, tracks, data.frame(example = 1, position = 2, alt = "A")),
    class = "seqlift_error_sequence"
  )
})

test_that("variants that cannot be are an error before the model is called", {
  good <- data.frame(example = 1, position = 2, alt = "A", ref = "C")
  refused <- list(
    good[0L, ], good["alt"], "1:2:C:A", transform(good, example = 4),
    transform(good, example = "fourth"), transform(good, position = 0),
    transform(good, position = 13), transform(good, position = 1.5),
    transform(good, position = NA_real_), transform(good, position = "2")
  )
  verbs <- list(substitution_effect, deletion_effect, insertion_effect)
  for (table in c(refused, list(transform(good, position = 14)))) {
    for (verb in verbs[if (identical(table, refused[[7L]])) 1:2 else 1:3]) {
      expect_error_before_call(function(func) verb(NULL, X, table, func = func),
        "seqlift_error_variants"
      )
    }
  }
  for (wrong in list("N", "", NA, "AX", 1)) {
    for (verb in verbs[c(1L, 3L)]) {
      expect_error_before_call(
        function(func) verb(NULL, X, transform(good[1:3], alt = wrong), func = func),
        "seqlift_error_variants"
      )
    }
  }
  for (wrong in c("A", "CG", "N", "")) {
    for (verb in verbs[1:2]) {
      error <- expect_error_before_call(
        function(func) verb(NULL, X, transform(good, ref = wrong), func = func),
        "seqlift_error_variants"
      )
      expect_match(conditionMessage(error), "ref")
    }
  }
  off_the_end <- transform(good[1:3], position = 12, alt = "AC")
  twice <- rbind(good, transform(good, alt = "G"))
  overlapping <- transform(twice[1:3], position = c(2, 1), alt = c("A", "GG"))
  for (table in list(off_the_end, twice, overlapping)) {
    expect_error_before_call(function(func) substitution_effect(NULL, X, table, func = func),
      "seqlift_error_variants"
    )
  }
  all_of_it <- data.frame(example = 2, start = 1, end = 12)
  expect_error_before_call(function(func) deletion_effect(NULL, X, all_of_it, func = func),
    "seqlift_error_variants"
  )
  expect_error_before_call(
    function(func) substitution_effect(NULL, X, good, args = list(1:2), func = func),
    "seqlift_error_args"
  )
})

test_that("a row that cannot be used is dropped with one message, or refused under strict", {
  good <- data.frame(example = c(1, 2), position = c(2, 9), ref = c("C", "G"), alt = c("A", "T"))
  bad <- list(
    "of sequence 4" = list(example = 4), "at 13" = list(position = 13),
    "at 1.5" = list(position = 1.5), "at NA" = list(position = NA_real_),
    "\"<DEL>\" as alt" = list(alt = "<DEL>"), "NA as alt" = list(alt = NA),
    "\"R\" as ref" = list(ref = "R")
  )
  verbs <- list(
    substitution = substitution_effect, deletion = deletion_effect, insertion = insertion_effect,
    variant = variant_effect
  )
  for (kind in names(verbs)) {
    verb <- verbs[[kind]]
    alone <- letters_after(verb, good)
    for (problem in names(bad)) {
      letters <- grepl("as (alt|ref)", problem)
      if (letters && kind == "deletion" && !grepl("ref", problem)) next
      if (kind == "insertion" && grepl("ref|13", problem)) next
      row <- replace(good[1L, ], names(bad[[problem]]), bad[[problem]])
      table <- rbind(good[1L, ], row, good[2L, ], row)
      told <- expect_message(letters <- letters_after(verb, table),
        class = "seqlift_message_dropped"
      )
      expect_identical(letters, alone)
      expect_match(conditionMessage(told), "Dropped 2 of 4 rows of `[a-z]+s`")
      expect_match(conditionMessage(told), paste0("Row 2 of `", kind, "s` .*", problem))
      expect_error(verb(NULL, X, table, func = count_bases, strict = TRUE), problem,
        class = "seqlift_error_variants"
      )
    }
    expect_no_message(letters_after(verb, good, strict = TRUE))
    expect_error(verb(NULL, X, good, func = count_bases, strict = NA),
      class = "seqlift_error_argument"
    )
  }
  same <- rbind(good, data.frame(example = 1, position = 1, ref = "A", alt = "a"))
  expect_message(letters_after(variant_effect, same), "has A as both ref and alt")
})

test_that("a table that is counted from 0 is refused as a whole", {
  table <- data.frame(example = 1, position = c(0, 1), ref = c("A", "C"), alt = "T")
  for (verb in list(substitution_effect, deletion_effect, variant_effect)) {
    expect_error(verb(NULL, X, table, func = count_bases), "counted from 1, not from 0",
      class = "seqlift_error_variants"
    )
    # Every letter is where it is counted from 0.
    later <- transform(table[2, ], position = 1)
    expect_error(verb(NULL, X, later, func = count_bases), "one position further on",
      class = "seqlift_error_variants"
    )
  }
  expect_error(
    insertion_effect(NULL, X, data.frame(example = 0, position = 1, alt = "A"), func = count_bases),
    "counted from 1, not from 0", class = "seqlift_error_variants"
  )
})

test_that("messages say which row is wrong", {
  expect_snapshot(error = TRUE, {
    substitution_effect(NULL, X, data.frame(example = 1, position = 2, ref = "T", alt = "A"),
      func = count_bases
    )
    substitution_effect(NULL, X, data.frame(example = 1, position = c(2, 2), alt = c("A", "G")),
      func = count_bases
    )
    deletion_effect(NULL, X, data.frame(example = 1, start = 10, end = 13), func = count_bases)
    insertion_effect(NULL, X, data.frame(example = "x", position = 1, alt = "A"),
      func = count_bases
    )
  })
})

test_that("variants of all kinds are made one at a time", {
  table <- data.frame(
    example = c("first", "second", "third", "first"), position = c(2, 5, 13, 5),
    ref = c("C", "CC", "", "ac"), alt = c("T", "", "G", "GGG"), variant = letters[1:4]
  )
  seen <- letters_after(variant_effect, table)
  expect_identical(seen$before, unname(X[c(1:3, 1)]))
  expect_identical(seen$after, c("ATGTACGTACGT", "AAAACCGGGGNN", "TTTTTTTTTTTT", "ACGTGGGGTACG"))
  seen <- letters_after(variant_effect, table, left = TRUE)
  expect_identical(seen$after, c("ATGTACGTACGT", "NNAAAACCGGGG", "TTTTTTTTTTTG", "CGTGGGGTACGT"))
  # What the sequences have beyond the model's length is taken before any N.
  seen <- letters_after(variant_effect, table, length = 11L)
  expect_identical(seen$before, c("ACGTACGTACG", "AAAACCCCGGG", "TTTTTTTTTTT", "ACGTACGTACG"))
  expect_identical(seen$after, c("ATGTACGTACG", "AAAACCGGGGN", "TTTTTTTTTTT", "ACGTGGGGTAC"))
  seen <- letters_after(variant_effect, table, length = 10L, left = TRUE)
  expect_identical(seen$after, c("GTACGTACGT", "AAAACCGGGG", "TTTTTTTTTG", "TGGGGTACGT"))
  # Without a deletion nothing is cut; two variants of one base are two rows.
  one <- data.frame(example = c(1, 1), position = c(1, 1), ref = "A", alt = c("C", "G"))
  expect_identical(letters_after(variant_effect, one)$after, c("CCGTACGTACGT", "GCGTACGTACGT"))
})

test_that("a variant's effect is its own: rows do not matter to each other, in any order", {
  X <- test_sequences()
  model <- test_model("tiny")
  table <- data.frame(
    example = c(1, 2, 2, 1, 2, 1), position = c(3, 4, 1, 6, 2, 12),
    ref = c("", "T", "GGA", "", substr(X[2], 2, 9), substr(X[1], 12, 12)),
    alt = c("ACG", "C", "", "T", "", "AC")
  )
  effects <- function(table, X = test_sequences(), ...) {
    result <- variant_effect(model, X, table, dtype = "float64", ...)
    unname(result$after - result$before)
  }
  longer <- list(X = paste0(X, "ACGTA"), length = 12L)
  for (arguments in list(list(), list(left = TRUE), longer)) {
    all <- do.call(effects, c(list(table), arguments))
    order <- c(5, 1, 6, 3, 2, 4)
    expect_equal(do.call(effects, c(list(table[order, ]), arguments)), all[order, ])
    for (i in seq_len(nrow(table))) {
      alone <- do.call(effects, c(list(table[i, ]), arguments))
      expect_equal(alone, all[i, , drop = FALSE], tolerance = 1e-12)
    }
  }
})

test_that("bases behind a deletion come from the genome, on either strand", {
  skip_without_genomes()
  genome <- Biostrings::DNAStringSet(c(chr1 = "ACGTACGGATTACAGGCATCACGTTT"))
  X <- sequences_from(GenomicRanges::GRanges(c("chr1:5-12:+", "chr1:5-12:-")), genome)
  table <- data.frame(example = 1:2, position = 2, ref = c("CG", "AA"), alt = "")
  expect_identical(as.character(unname(X)), c("ACGGATTA", "TAATCCGT"))
  seen <- letters_after(variant_effect, table, genome = genome, X = X)
  expect_identical(seen$after, c("AGATTACA", "TTCCGTAC"))
  seen <- letters_after(variant_effect, table, genome = genome, left = TRUE, X = X)
  expect_identical(seen$after, c("GTAGATTA", "TGTTCCGT"))
  # Beyond the chromosome nothing is known.
  end <- sequences_from(GenomicRanges::GRanges("chr1:19-26:+"), genome)
  one <- data.frame(example = 1, position = 1, ref = "TC", alt = "")
  expect_identical(letters_after(variant_effect, one, genome = genome, X = end)$after, "ACGTTTNN")
  other <- Biostrings::DNAStringSet(c(chr1 = strrep("A", 26)))
  expect_error_before_call(
    function(func) variant_effect(NULL, X, table, genome = other, func = func),
    "seqlift_error_genome"
  )
  expect_error_before_call(
    function(func) variant_effect(NULL, as.character(X), table, genome = genome, func = func),
    "seqlift_error_genome"
  )
})

test_that("deletions of one sequence leave the others alone where the length is given", {
  table <- data.frame(example = c(1, 1, 2), position = c(2, 4, 12))
  seen <- letters_after(deletion_effect, table, length = 12L)
  expect_identical(seen$before, unname(X))
  expect_identical(seen$after, c("AGACGTACGTNN", "AAAACCCCGGGN", "TTTTTTTTTTTT"))
  seen <- letters_after(deletion_effect, table, length = 12L, left = TRUE)
  expect_identical(seen$after, c("NNAGACGTACGT", "NAAAACCCCGGG", "TTTTTTTTTTTT"))
})

test_that("single variants have their place in the table and their sequence's rows of args", {
  X <- test_sequences()
  table <- data.frame(example = c(2, 1), position = 4, ref = c("T", ""), alt = c("C", "A"))
  add <- function(model, X, args) {
    array(rowSums(X[, 1, , drop = FALSE]) + args[[1L]], c(dim(X)[1L], 1L))
  }
  result <- variant_effect(NULL, X, table, func = add, args = list(seq_len(length(X)) * 100))
  expect_identical(unname(floor(result$before[, 1] / 100)), c(2, 1))
  effects <- as.data.frame(result)
  expect_identical(effects$example, c(2L, 1L))
  expect_identical(effects$ref, table$ref)
  expect_identical(effects$alt, table$alt)
})

test_that("tables of single variants that cannot be are refused before the call", {
  refused <- function(table) {
    expect_error_before_call(
      function(func) variant_effect(NULL, X, table, func = func), "seqlift_error_variants"
    )
  }
  good <- data.frame(example = 1, position = 1, ref = "A", alt = "C")
  refused(good[0, ])
  refused(good[-3])
  refused(list(good))
  refused(transform(good, example = 4))
  refused(transform(good, position = 13))
  refused(transform(good, position = 14, ref = ""))
  refused(transform(good, ref = "G"))
  refused(transform(good, ref = "C", alt = "C"))
  refused(transform(good, alt = "<DEL>"))
  refused(transform(good, ref = "ACGTACGTACGT", alt = ""))
})
