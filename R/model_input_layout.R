# How a model takes its sequences, which are [n, 4, L] everywhere here. The engine puts before the
# model what it takes to get there (src/core/model/input_layout.cpp).

# list(dimensions, tokens): tokens are the numbers of A, C, G, T and N, -1 where N has none.
layout_of <- function(dimensions, tokens = c(0L, 1L, 2L, 3L, -1L)) {
  list(dimensions = dimensions, tokens = as.integer(tokens))
}

own_layout <- layout_of("NCL")

# NULL stays: the layout is to be found.
check_layout <- function(layout, call) {
  if (is.null(layout)) {
    return(NULL)
  }
  if (is.numeric(layout)) {
    return(check_tokens(layout, call))
  }
  letters <- if (rlang::is_string(layout)) strsplit(layout, "")[[1L]]
  dimensions <- length(letters) <= 4L &&
    identical(sort(letters[letters != "1"]), c("C", "L", "N"))
  if (!dimensions && !identical(layout, "tokens")) {
    abort_argument("layout",
      "\"NCL\", \"NLC\", \"NC1L\", \"N1CL\", ..., \"tokens\" or the numbers of the tokens",
      if (rlang::is_string(layout)) encodeString(layout, quote = "\"") else describe(layout),
      hint = "{.code c(A = 0, C = 1, G = 2, T = 3, N = 4)} gives the numbers of tokens.",
      call = call
    )
  }
  # Whether N has a token is for the model's table to say.
  if (layout == "tokens") layout_of(layout, c(0:3, NA)) else layout_of(layout)
}

# Of a network that is made here and takes [n, 4, L]: no other may be asked for.
refuse_layout <- function(layout, call) {
  if (!is.null(layout) && !identical(layout, own_layout)) {
    abort_argument("layout", "NULL for a file whose network is made here",
      encodeString(layout$dimensions, quote = "\""),
      hint = "Such a model takes {.code [n, 4, L]}, whatever its file's takes.", call = call
    )
  }
  own_layout
}

check_tokens <- function(tokens, call) {
  bases <- c("A", "C", "G", "T")
  known <- names(tokens)
  good <- all(bases %in% known) && all(known %in% c(bases, "N")) && !anyDuplicated(known) &&
    all(is.finite(tokens)) && all(tokens >= 0 & tokens == floor(tokens) & tokens < 2^31) &&
    !anyDuplicated(as.vector(tokens))
  if (!good) {
    abort_argument("layout", "different whole numbers named A, C, G, T and, if there is one, N",
      paste0(
        "c(", paste(utils::head(known, 6L), utils::head(tokens, 6L), sep = " = ", collapse = ", "),
        ")"
      ),
      call = call
    )
  }
  of_n <- if ("N" %in% known) tokens[["N"]] else -1L
  layout_of("tokens", c(tokens[bases], of_n))
}

# The layout that the model's first layers tell; said where it is another than ours.
layout_from <- function(found) {
  fits <- found$fits
  if (length(fits) == 0L || identical(fits, "NCL")) {
    return(own_layout)
  }
  if (identical(fits, "tokens")) {
    return(find_tokens(found$vocabulary))
  }
  if (length(fits) > 1L) {
    inform_seqlift("layout", c(
      "The model does not take sequences as [n, 4, L], and several layouts fit its first layer:
       {.val {fits}}.",
      i = "Say which: {.code load_model(path, layout = \"{fits[1L]}\")}."
    ))
    return(own_layout)
  }
  layout <- layout_of(fits)
  inform_seqlift("layout", "The model takes {layout_text(layout)}, as its first layer tells.")
  layout
}

find_tokens <- function(vocabulary) {
  if (!vocabulary %in% c(4L, 5L)) {
    inform_seqlift("layout", c(
      "The model takes tokens, of which it knows {vocabulary}.",
      i = "Say which are the bases: {.code load_model(path, layout = c(A = , C = , G = , T = ,
           N = ))}."
    ))
    return(own_layout)
  }
  layout <- table_tokens(vocabulary)
  inform_seqlift("layout", "The model takes {layout_text(layout)}, as its first layer tells.")
  layout
}

# The usual numbers, N being the last row of a table of five.
table_tokens <- function(vocabulary) {
  layout_of("tokens", c(0:3, if (vocabulary == 5L) 4L else -1L))
}

# "[n, L, 4] (NLC)", "[n, L] of tokens (A 0, C 1, G 2, T 3)"
layout_text <- function(layout) {
  if (layout$dimensions == "tokens") {
    tokens <- stats::setNames(layout$tokens, c("A", "C", "G", "T", "N"))
    tokens <- tokens[tokens >= 0L]
    return(paste0("[n, L] of tokens (", paste(names(tokens), tokens, collapse = ", "), ")"))
  }
  sizes <- c(N = "n", C = "4", L = "L", "1" = "1")[strsplit(layout$dimensions, "")[[1L]]]
  paste0("[", paste(sizes, collapse = ", "), "] (", layout$dimensions, ")")
}
