# The help page, from the installed package or from the sources beside the tests.
tangermeme_page <- function() {
  pages <- tryCatch(tools::Rd_db("seqlift"), error = function(error) list())
  if (is.null(pages[["from_tangermeme.Rd"]])) {
    source <- test_path("..", "..", "man", "from_tangermeme.Rd")
    skip_if_not(file.exists(source), "no help pages were installed")
    return(tools::parse_Rd(source))
  }
  pages[["from_tangermeme.Rd"]]
}

rd_pieces <- function(page, tag) {
  own <- if (identical(attr(page, "Rd_tag"), tag)) list(page)
  c(own, if (is.list(page)) unlist(lapply(page, rd_pieces, tag), recursive = FALSE))
}

# The names of the first column, without their modules and arguments.
old_names <- function(page) {
  cells <- unlist(rd_pieces(page, "\\tabular")[[1L]][[2L]] |> lapply(function(piece) {
    switch(attr(piece, "Rd_tag"),
      "\\tab" = "\t", "\\cr" = "\n", "\\code" = paste0("<", unlist(piece), ">"), ""
    )
  }))
  lines <- strsplit(paste(cells, collapse = ""), "\n")[[1L]]
  first <- sub("\t.*", "", lines)
  names <- unlist(regmatches(first, gregexpr("<[^>]+>", first)))
  sub("^.*[.]", "", sub("[(].*", "", gsub("[<>]", "", names)))
}

test_that("every name of tangermeme in the table is a concept of the page", {
  page <- tangermeme_page()
  names <- old_names(page)
  expect_gt(length(names), 40L)
  some <- c("multisubstitute", "extract_loci", "deep_lift_shap", "plot_attributions")
  expect_true(all(some %in% names))
  concepts <- trimws(vapply(rd_pieces(page, "\\concept"), function(one) {
    paste(unlist(one), collapse = "")
  }, ""))
  expect_identical(setdiff(names, concepts), character())
})

test_that("the functions of the table exist, and help.search() finds it by the old names", {
  page <- tangermeme_page()
  links <- unique(unlist(lapply(rd_pieces(rd_pieces(page, "\\tabular")[[1L]], "\\link"), unlist)))
  functions <- sub("[(][)]$", "", grep("^[a-z_]+[(][)]$", links, value = TRUE))
  expect_gt(length(functions), 30L)
  expect_identical(setdiff(functions, c("predict", getNamespaceExports("seqlift"))), character())
  skip_if_not(length(tools::Rd_db("seqlift")) > 0L, "no help pages were installed")
  for (name in old_names(page)) {
    found <- utils::help.search(name, fields = "concept", package = "seqlift", agrep = FALSE)
    expect_true("from_tangermeme" %in% found$matches$Topic, info = name)
  }
})
