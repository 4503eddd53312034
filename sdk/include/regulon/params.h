#pragma once
/// Parameters declared once, as data. From one declaration come parsing, validation, `regulon plugins NAME`
/// and the docs.
///
///     class HuberError final : public regulon::LossTerm {
///      public:
///       static void declare(regulon::Declaration<HuberError>& d) {
///         d.param("delta", &HuberError::delta_).above(0).unit("activation").schedulable().doc("where it
///         turns linear");
///       }
///      private:
///       double delta_ = 1.0;  // the default is the member's initial value
///     };

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace regulon {

/// What a parameter can hold. `std::vector` kinds are TOML arrays; a lone value is accepted as an array of
/// one.
using ParamValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>,
                                std::vector<double>, std::vector<std::string>>;

/// A parameter as declared: all there is to know about it without an object at hand.
struct ParamSpec {
  std::string name;
  ParamValue default_value;  ///< its alternative is the parameter's type
  double low =
      -std::numeric_limits<double>::infinity();  ///< smallest allowed number (of each element, for arrays)
  double high = std::numeric_limits<double>::infinity();  ///< largest allowed number
  bool low_open = false;                                  ///< `low` itself is not allowed
  bool high_open = false;                                 ///< `high` itself is not allowed
  std::vector<std::string> choices;  ///< for texts: the only words allowed; empty means any
  std::string unit;                  ///< "steps", "cosine", …; empty for pure numbers
  std::string doc;                   ///< one line
  bool schedulable = false;  ///< a schedule table is accepted in the number's place; set again at every step
  bool required = false;     ///< has no default: the config must give it
};

/// The type's name as a person reads it: "true or false", "integer", "number", "text", "array of …".
std::string type_name(const ParamValue& value);
/// The value as TOML would write it.
std::string to_text(const ParamValue& value);
/// "a number in (0, 1]", "one of: all, nearest": what the spec accepts.
std::string accepted(const ParamSpec& spec);
/// Empty if `value` is acceptable for `spec`, otherwise what is wrong with it (its type is taken to match
/// already).
std::string violation(const ParamSpec& spec, const ParamValue& value);
/// `value` turned into the type of `spec` where nothing is lost (integer to number, one value to an array of
/// one).
std::optional<ParamValue> convert(const ParamSpec& spec, const ParamValue& value);

/// Collects the parameters of `T`: of each a spec, and what sets and what reads its member. `T` must be
/// default constructible.
template <class T>
class Declaration {
 public:
  using Setter = std::function<void(T&, const ParamValue&)>;
  using Getter = std::function<ParamValue(const T&)>;

  /// Refers to the spec just declared, so that its facts can be chained.
  class Fluent {
   public:
    explicit Fluent(ParamSpec& spec) : spec_(spec) {}
    Fluent& at_least(double low) {
      spec_.low = low;
      return *this;
    }
    Fluent& above(double low) {
      spec_.low = low;
      spec_.low_open = true;
      return *this;
    }
    Fluent& at_most(double high) {
      spec_.high = high;
      return *this;
    }
    Fluent& below(double high) {
      spec_.high = high;
      spec_.high_open = true;
      return *this;
    }
    Fluent& choices(std::vector<std::string> words) {
      spec_.choices = std::move(words);
      return *this;
    }
    Fluent& unit(std::string unit) {
      spec_.unit = std::move(unit);
      return *this;
    }
    Fluent& doc(std::string doc) {
      spec_.doc = std::move(doc);
      return *this;
    }
    Fluent& schedulable() {
      spec_.schedulable = true;
      return *this;
    }
    Fluent& required() {
      spec_.required = true;
      return *this;
    }

   private:
    ParamSpec& spec_;
  };

  /// Declares `name` as setting `member` (bool, an integer, double, std::string, or a std::vector of the last
  /// three kinds); the default is what a fresh `T` holds there.
  template <class M>
  Fluent param(std::string name, M T::*member) {
    using Held = held_type<M>;
    ParamSpec spec;
    spec.name = std::move(name);
    spec.default_value = Held((*prototype_).*member);
    specs_.push_back(std::move(spec));
    setters_.push_back([member](T& object, const ParamValue& value) {
      object.*member = static_cast<M>(std::get<Held>(value));
    });
    getters_.push_back([member](const T& object) -> ParamValue { return Held(object.*member); });
    return Fluent(specs_.back());
  }

  const std::vector<ParamSpec>& specs() const { return specs_; }
  const std::vector<Setter>& setters() const { return setters_; }
  const std::vector<Getter>& getters() const { return getters_; }

 private:
  template <class M>
  using held_type = std::conditional_t<std::is_same_v<M, bool> || !std::is_arithmetic_v<M>, M,
                                       std::conditional_t<std::is_floating_point_v<M>, double, std::int64_t>>;
  std::unique_ptr<T> prototype_ = std::make_unique<T>();
  std::vector<ParamSpec> specs_;
  std::vector<Setter> setters_;
  std::vector<Getter> getters_;
};

/// The declaration of `T`: of `T::declare` if it has one, empty otherwise.
template <class T>
Declaration<T> declaration_of() {
  Declaration<T> declaration;
  if constexpr (requires { T::declare(declaration); }) T::declare(declaration);
  return declaration;
}

}  // namespace regulon
