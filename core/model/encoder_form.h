#pragma once
/// Encoders that say how they compute, in words and parameter names that the core can rely on: see
/// Plugin::needs. Only of these can weights be converted.

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "core/config/config.h"

namespace regulon::core {

/// What an encoder provides whose pre-activations are one product; one whose codes are magnitudes behind a
/// gate.
inline constexpr char kProductEncoder[] = "encoder.product";
inline constexpr char kGatedEncoder[] = "encoder.gated_product";
/// What a loss term provides whose parameter `widths` are nested prefixes of the dictionary.
inline constexpr char kPrefixes[] = "dictionary.prefixes";
/// The parameter of such encoders by which the decoder's bias is taken off the input.
inline constexpr char kCentered[] = "subtract_decoder_bias";

/// Whether what `choice` names provides `word`, with the parameters it is given.
inline bool offers(const Choice& choice, const std::string& word) {
  const std::vector<std::string> words = choice.make()->provides();
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// The value of parameter `name` of `choice`; null if it declares none of that kind.
template <class T>
const T* value_of(const Choice& choice, const std::string& name) {
  for (std::size_t i = 0; i < choice.values.size(); ++i) {
    if (choice.descriptor->params[i].name == name) return std::get_if<T>(&choice.values[i]);
  }
  return nullptr;
}

/// Whether an encoder that says how it computes takes the decoder's bias off its input.
inline bool is_centered(const Choice& encoder) {
  const bool* centered = value_of<bool>(encoder, kCentered);
  return centered == nullptr || *centered;
}

}  // namespace regulon::core
