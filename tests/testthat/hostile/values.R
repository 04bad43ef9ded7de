# What no help page asks for: values that each argument of each function is tried with.

hostile_values <- function() {
  c(
    hostile_scalars(), hostile_vectors(), hostile_arrays(), hostile_tables(), hostile_functions(),
    hostile_objects()
  )
}

hostile_scalars <- function() {
  list(
    null = NULL, na = NA, na_text = NA_character_, na_real = NA_real_, nan = NaN, inf = Inf,
    minus_inf = -Inf, zero = 0, one = 1, minus_one = -1, half = 0.5, most = .Machine$integer.max,
    beyond = 2^31, far_beyond = 1e300, least = -2^31, yes = TRUE, complex = 1i, empty_text = "",
    letter = "a", dna = "ACGT", not_dna = "AC>T", braces = "{x} {.arg y} {", percent = "%s %n %d",
    path = "no/such", bytes = "\xff\xfe", lines = "a\nb\r\n", picture = "\U1F9EC",
    long_text = strrep("A", 1e5)
  )
}

hostile_vectors <- function() {
  list(
    no_text = character(), no_numbers = numeric(), no_integers = integer(), no_logical = logical(),
    no_list = list(), list_of_null = list(NULL), mixed = list(1, "a", NULL),
    nested = list(list(list(1))),
    named_list = list(a = 1, b = "x"), twice_named = list(a = 1, a = 2), numbers = 1:3,
    downwards = 3:1, negative = -1:1, with_na = c(1, NA), with_nan = c(NaN, 1),
    named = c(a = 1, b = 2),
    texts = c("ACGT", NA), uneven = c("ACGTACGTACGT", "ACG"), factor = factor("ACGT"),
    date = as.Date("2020-01-01"), raw = as.raw(0:3), many = seq_len(1e5), many_texts = rep("A", 1e4)
  )
}

hostile_arrays <- function() {
  list(
    matrix = matrix(1:4, 2L), no_rows = matrix(0, 0L, 4L), text_matrix = matrix("a", 2L, 2L),
    list_matrix = matrix(list(1, "a", NULL, 2), 2L), no_sequences = array(0, c(0L, 4L, 12L)),
    no_positions = array(0, c(2L, 4L, 0L)), one_position = array(1, c(1L, 4L, 1L)),
    zeros = array(0, c(3L, 4L, 12L)), nans = array(NaN, c(3L, 4L, 12L)),
    halves = array(0.5, c(3L, 4L, 12L)),
    deep = array(0, c(1L, 1L, 1L, 1L, 1L, 1L)), five_channels = array(0, c(3L, 5L, 12L))
  )
}

# Tables that are nearly right, and some that are not.
hostile_tables <- function() {
  list(
    frame = data.frame(a = 1:2, b = c("x", NA)), no_frame = data.frame(),
    lists = data.frame(sequence = I(list(1, 2)), start = 1:2, end = 2:3),
    outside = data.frame(sequence = 1L, start = 0L, end = 99L),
    turned = data.frame(sequence = 1L, start = 5L, end = 2L),
    no_sequence = data.frame(sequence = 99L, start = 1L, end = 2L),
    missing = data.frame(sequence = NA, start = 1, end = 2),
    words = data.frame(sequence = "a", start = "b", end = "c"),
    huge = data.frame(sequence = 1, start = 1, end = 1e300),
    fractions = data.frame(sequence = 1.5, start = 1.5, end = 2.5),
    no_rows_of_regions = data.frame(sequence = integer(), start = integer(), end = integer()),
    allele = data.frame(example = 1L, position = 1L, ref = "A", alt = "?"),
    place = data.frame(example = 1L, position = 2^31, ref = "A", alt = "C"),
    numbers_as_alleles = data.frame(example = 1L, position = 1L, ref = 1, alt = NA)
  )
}

# A function's own error, "mine", is its author's and passes through.
hostile_functions <- function() {
  list(
    primitive = sum, identity = identity, failing = function(...) stop("mine"),
    nothing = function(...) NULL, no_arguments = function() 1, text = function(...) "a",
    missing_values = function(...) NA, other_shape = function(...) array(0, c(2L, 3L, 4L))
  )
}

hostile_objects <- function() {
  list(
    symbol = quote(x), call = quote(stop("mine")), expression = expression(x), formula = y ~ x,
    environment = new.env(), unknown_class = structure(1, class = "no_such_class"),
    s4 = methods::getClass("numeric"),
    bare_model = structure(list(), class = "seqlift_model"),
    bare_attributions = structure(list(), class = "seqlift_attributions"),
    flat_attributions = structure(1:3, class = "seqlift_attributions"),
    stripped_attributions = structure(array(0, c(3L, 4L, 12L)), class = "seqlift_attributions"),
    bare_perturbation = structure(list(), class = "seqlift_perturbation"),
    bare_map = structure(list(), class = "seqlift_dependency_map")
  )
}
