library(testthat)
library(seqlift)

test_check("seqlift")
