#pragma once
/// What was found feature by feature, as a person reads it.

#include <ATen/core/Tensor.h>

#include "core/io/vocabulary.h"
#include "core/measure/absorption.h"
#include "core/measure/feature_rows.h"

namespace regulon::cli {

/// Signs of absorption; `frequency` [n] is that of all features.
void print_absorption(const core::Absorption& found, const at::Tensor& frequency);

/// Some features, from the most frequent to the rarest, with their top rows: by token where there are token
/// ids, as `words` names them if it is not empty.
void print_feature_rows(const core::FeatureRows& found, const core::Vocabulary& words);

}  // namespace regulon::cli
