#pragma once
/// Training that goes on from another run's weights: [model] init and init_part.

#include <string>

#include "core/config/config.h"
#include "core/data/normalisation.h"
#include "core/model/model.h"

namespace regulon::core {

/// What `config` says to start from, in the units of rows as `normalisation` makes them: codes then count in
/// these units too, and dictionary rows keep their norms. Empty if it says nothing. Where both runs normalise
/// alike, the same bits. With [model] freeze = "init" these features are fewer than the model's and stay as
/// they are; an encoder bias that counted from the decoder's is converted, since that one goes on to learn.
/// Throws InputError if there is no finished run there, its encoder is another one, or
/// its rows are not of norm one where [model] unit_norm asks for that (a decoder taken alone is scaled).
ModelStart load_start(const Config& config, const Normalisation& normalisation);

/// The hash of the weights that `config` starts from: part of what a run is. Throws like load_start.
std::string start_fingerprint(const Config& config);

}  // namespace regulon::core
