#include <gtest/gtest.h>
#include <regulon/params.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace regulon {
namespace {

struct Sample {
  static void declare(Declaration<Sample>& d) {
    d.param("share", &Sample::share).above(0).at_most(1).unit("cosine").schedulable().doc("a share");
    d.param("count", &Sample::count).at_least(1);
    d.param("flag", &Sample::flag);
    d.param("shape", &Sample::shape).choices({"abs", "square"});
    d.param("sizes", &Sample::sizes).at_least(1);
    d.param("scales", &Sample::scales).required();
    d.param("labels", &Sample::labels);
    d.param("small", &Sample::small).below(4);
  }
  double share = 0.5;
  std::int64_t count = 3;
  bool flag = true;
  std::string shape = "abs";
  std::vector<std::int64_t> sizes = {1, 2};
  std::vector<double> scales;
  std::vector<std::string> labels = {"a\"b"};
  int small = 2;
};

ParamSpec spec_of(const std::string& name) {
  const Declaration<Sample> declaration = declaration_of<Sample>();
  for (const ParamSpec& spec : declaration.specs()) {
    if (spec.name == name) return spec;
  }
  throw std::runtime_error("no parameter " + name);
}

TEST(Declaration, TakesDefaultsAndFactsFromTheClass) {
  const ParamSpec share = spec_of("share");
  EXPECT_EQ(std::get<double>(share.default_value), 0.5);
  EXPECT_TRUE(share.low_open);
  EXPECT_FALSE(share.high_open);
  EXPECT_TRUE(share.schedulable);
  EXPECT_EQ(share.unit, "cosine");
  EXPECT_EQ(share.doc, "a share");
  EXPECT_TRUE(spec_of("scales").required);
  EXPECT_EQ(std::get<std::int64_t>(spec_of("small").default_value), 2);
  EXPECT_EQ(std::get<bool>(spec_of("flag").default_value), true);
}

TEST(Declaration, SettersSetTheirMember) {
  const Declaration<Sample> declaration = declaration_of<Sample>();
  Sample sample;
  const std::vector<ParamValue> values = {0.25,
                                          std::int64_t{7},
                                          false,
                                          std::string("square"),
                                          std::vector<std::int64_t>{9},
                                          std::vector<double>{1.5},
                                          std::vector<std::string>{"x"},
                                          std::int64_t{1}};
  ASSERT_EQ(declaration.setters().size(), values.size());
  for (std::size_t i = 0; i < values.size(); ++i) declaration.setters()[i](sample, values[i]);
  EXPECT_EQ(sample.share, 0.25);
  EXPECT_EQ(sample.count, 7);
  EXPECT_FALSE(sample.flag);
  EXPECT_EQ(sample.shape, "square");
  EXPECT_EQ(sample.sizes, std::vector<std::int64_t>{9});
  EXPECT_EQ(sample.scales, std::vector<double>{1.5});
  EXPECT_EQ(sample.labels, std::vector<std::string>{"x"});
  EXPECT_EQ(sample.small, 1);
}

TEST(Declaration, IsEmptyForAClassThatDeclaresNothing) {
  struct Plain {};
  EXPECT_TRUE(declaration_of<Plain>().specs().empty());
}

TEST(TypeName, SaysWhatAPersonCallsIt) {
  EXPECT_EQ(type_name(true), "true or false");
  EXPECT_EQ(type_name(std::int64_t{1}), "integer");
  EXPECT_EQ(type_name(1.0), "number");
  EXPECT_EQ(type_name(std::string()), "text");
  EXPECT_EQ(type_name(std::vector<std::int64_t>{}), "array of integers");
  EXPECT_EQ(type_name(std::vector<double>{}), "array of numbers");
  EXPECT_EQ(type_name(std::vector<std::string>{}), "array of texts");
}

TEST(ToText, WritesToml) {
  EXPECT_EQ(to_text(true), "true");
  EXPECT_EQ(to_text(std::int64_t{-4}), "-4");
  EXPECT_EQ(to_text(1.0), "1.0");
  EXPECT_EQ(to_text(0.1), "0.1");
  EXPECT_EQ(to_text(6.25e-10), "6.25e-10");
  EXPECT_EQ(to_text(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(to_text(std::nan("")), "nan");
  EXPECT_EQ(to_text(std::string("a\"\\\n")), "\"a\\\"\\\\\\u000A\"");
  EXPECT_EQ(to_text(std::vector<double>{1, 2.5}), "[1.0, 2.5]");
  EXPECT_EQ(to_text(std::vector<std::string>{"a", "b"}), "[\"a\", \"b\"]");
  EXPECT_EQ(to_text(std::vector<std::int64_t>{}), "[]");
}

TEST(Accepted, SaysRangeAndChoices) {
  EXPECT_EQ(accepted(spec_of("share")), "a number in (0, 1]");
  EXPECT_EQ(accepted(spec_of("count")), "an integer of at least 1");
  EXPECT_EQ(accepted(spec_of("flag")), "true or false");
  EXPECT_EQ(accepted(spec_of("shape")), "one of: abs, square");
  EXPECT_EQ(accepted(spec_of("sizes")), "an array of integers, each one of at least 1");
  EXPECT_EQ(accepted(spec_of("scales")), "an array of numbers");
  EXPECT_EQ(accepted(spec_of("small")), "an integer below 4");
}

TEST(Violation, NamesValueAndBound) {
  EXPECT_EQ(violation(spec_of("share"), 0.5), "");
  EXPECT_EQ(violation(spec_of("share"), 1.0), "");
  EXPECT_EQ(violation(spec_of("share"), 0.0), "0.0 is not above 0");
  EXPECT_EQ(violation(spec_of("share"), 1.5), "1.5 is above 1");
  EXPECT_EQ(violation(spec_of("share"), std::nan("")), "nan is not a finite number");
  EXPECT_EQ(violation(spec_of("scales"), std::vector<double>{INFINITY}),
            "element 1: inf is not a finite number");
  EXPECT_EQ(violation(spec_of("count"), std::int64_t{0}), "0 is below 1");
  EXPECT_EQ(violation(spec_of("small"), std::int64_t{4}), "4 is not below 4");
  EXPECT_EQ(violation(spec_of("sizes"), std::vector<std::int64_t>{1, 0}), "element 2: 0 is below 1");
  EXPECT_EQ(violation(spec_of("shape"), std::string("square")), "");
  EXPECT_EQ(violation(spec_of("shape"), std::string("cube")), "\"cube\" is not one of: abs, square");
  EXPECT_EQ(violation(spec_of("flag"), false), "");
}

TEST(Convert, LosesNothing) {
  EXPECT_EQ(std::get<double>(*convert(spec_of("share"), std::int64_t{1})), 1.0);
  EXPECT_EQ(std::get<double>(*convert(spec_of("share"), 0.25)), 0.25);
  EXPECT_EQ(std::get<std::vector<double>>(*convert(spec_of("scales"), std::int64_t{2})),
            std::vector<double>{2.0});
  EXPECT_EQ(std::get<std::vector<double>>(*convert(spec_of("scales"), std::vector<std::int64_t>{1, 2})),
            (std::vector<double>{1.0, 2.0}));
  EXPECT_EQ(std::get<std::vector<std::string>>(*convert(spec_of("labels"), std::string("x"))),
            std::vector<std::string>{"x"});
  EXPECT_TRUE(std::get<std::vector<std::string>>(*convert(spec_of("labels"), std::vector<double>{})).empty());
}

TEST(Convert, RefusesWhatDoesNotFit) {
  EXPECT_FALSE(convert(spec_of("count"), 3.5));
  EXPECT_FALSE(convert(spec_of("count"), 3.0));
  EXPECT_FALSE(convert(spec_of("share"), std::string("0.5")));
  EXPECT_FALSE(convert(spec_of("share"), true));
  EXPECT_FALSE(convert(spec_of("flag"), std::int64_t{1}));
  EXPECT_FALSE(convert(spec_of("share"), std::vector<double>{0.5}));
  EXPECT_FALSE(convert(spec_of("sizes"), std::vector<double>{0.5}));
  EXPECT_FALSE(convert(spec_of("scales"), true));
  EXPECT_FALSE(convert(spec_of("labels"), std::vector<double>{1.0}));
}

}  // namespace
}  // namespace regulon
