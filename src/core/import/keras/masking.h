// What layers of Keras do with a mask, which says of every position whether it counts.
#pragma once

#include <string>

#include "core/import/keras/layers.h"

namespace seqlift {
namespace keras {

enum class MaskUse {
  loses,   // neither looks at it nor hands it on
  passes,  // hands it on as it is
  reads,   // LayerCall::masked: its module takes the mask as one more input
  unknown  // reads it in a way that is not known here
};

// By Keras 2's class name.
MaskUse mask_use(const std::string& class_name);

}  // namespace keras
}  // namespace seqlift
