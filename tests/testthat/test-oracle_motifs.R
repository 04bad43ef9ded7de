# Every required call of every case of the oracle of motifs, one test a case. Handlers by function
# are in helper-oracle_motifs_*.R; a function without one is not in this version.

folder <- oracle_folder(variable = "SEQLIFT_ORACLE_MOTIFS", name = "oracle-motifs")
handlers <- c(
  oracle_motifs_hits, oracle_motifs_modisco, oracle_motifs_tomtom, oracle_motifs_variants
)

test_that("the oracle of motifs is there", {
  skip_if(is.null(folder), "no folder shared/oracle-motifs beside the repository")
  expect_gt(length(read_oracle_index(folder)), 0L)
})

for (entry in if (!is.null(folder)) read_oracle_index(folder)) {
  test_that(paste0("oracle of motifs: ", entry$id, ": ", entry$title), {
    case <- read_oracle_case(folder, entry$id)
    functions <- vapply(case$calls, function(call) call[["function"]] %||% case[["function"]], "")
    skip_if(!any(functions %in% names(handlers)), paste("not in this version:", functions[1L]))
    for (i in seq_along(case$calls)) {
      call <- case$calls[[i]]
      handler <- handlers[[functions[i]]]
      if (is.null(handler) || identical(call$status, "peer_quirk")) next
      problems <- handler(call, case)
      expect(length(problems) == 0L, paste0(call$name, ": ", paste(problems, collapse = "; ")))
    }
  })
}
