// Deflated data (RFC 1951), of which LibTorch writes the code of a TorchScript file.
#pragma once

#include <cstddef>
#include <string>

namespace seqlift {

// Exactly `expected` bytes, or none where the data are damaged or are of another length: no more
// than that is ever written, and no more than deflate can make of `size` bytes is made room for.
bool inflate(const char* data, size_t size, size_t expected, std::string& result);

}  // namespace seqlift
