/// Reports on studies: what is concluded, and what is done with failed, missing and hostile ones.

#include <gtest/gtest.h>
#include <regulon/error.h>

#include "core/report/study_page.h"
#include "core/report/write_report.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::core::report {
namespace {

using nlohmann::json;
using regulon::tests::expect_error;
using regulon::tests::expect_words;
using regulon::tests::read_file;
using regulon::tests::ScratchFolder;
using regulon::tests::write_file;

/// A study of two points; results are written by the code that a study itself uses.
class StudyReport : public ::testing::Test {
 protected:
  void make(const std::string& choice, std::int64_t seeds) {
    study_.name = "s " + choice;
    study_.axes = {{"axis", {{"x", {}}, {choice, {}}}}};
    plan_.points = {{"axis=x", {0}}, {"axis=" + choice, {1}}};
    for (std::int64_t seed = 0; seed < seeds; ++seed) {
      for (std::size_t point = 0; point < 2; ++point) {
        const std::string name = std::to_string(point) + ",seed=" + std::to_string(seed);
        plan_.runs.push_back({name, point, seed, {}});
      }
    }
  }
  /// What the curves and the reader of runs look at.
  void begin(const PlannedRun& run) const {
    const json config = {
        {"run", {{"name", run.name}}},
        {"loss", {{{"name", "mse"}, {"plugin", "mse"}}, {{"name", "l1"}, {"plugin", "l1"}}}}};
    write_file(paths_.run(run.name) / "manifest.json", json{{"config", config}, {"data", "abc"}}.dump());
    std::string lines;
    for (int step = 1; step <= 30; ++step) {
      const double fvu = (run.point == 0 ? 0.4 : 0.2) + 0.01 * static_cast<double>(run.seed);
      json line = {{"step", step}, {"fvu", fvu}, {"l0", 30}, {"terms", {{"mse", {{"value", 2 * fvu}}}}}};
      if (run.point == 1) line["terms"]["l1"] = {{"value", 30 - step}};
      lines += line.dump() + "\n";
    }
    write_file(paths_.run(run.name) / "metrics.jsonl", lines);
  }
  void finish(double difference_in_fvu) {
    for (const PlannedRun& run : plan_.runs) {
      begin(run);
      const double noise = 0.001 * static_cast<double>(run.seed % 3);
      const double fvu = 0.2 + noise + (run.point == 1 ? difference_in_fvu + noise * 0.1 : 0);
      const json held = {{"fvu", fvu}, {"l0", run.point == 1 ? 30.0 + noise : 32.0}, {"cosine", 0.9}};
      write_file(paths_.summary(run.name), json{{"held_out", held}}.dump());
    }
  }
  void fail(const PlannedRun& run, const std::string& error) {
    const json failure = {{"error", error}};
    write_file(paths_.failure(run.name), failure.dump(-1, ' ', false, json::error_handler_t::replace));
  }
  void write_study() {
    json runs = json::object();
    for (const PlannedRun& run : plan_.runs) runs[run.name] = "hash";
    write_file(paths_.description(), json{{"study", study_.name}, {"runs", runs}}.dump());
    const auto state = [&](const PlannedRun& run) {
      return std::filesystem::exists(paths_.summary(run.name)) ? RunState::done : RunState::missing;
    };
    write_results(study_, plan_, paths_, results_of(plan_, paths_, state));
  }
  Page page() const { return study_page(read_study_record(paths_.root)); }
  std::string html() {
    PluginHost host(std::vector<std::filesystem::path>{});
    write_study_report(paths_.root, scratch_ / "report.html", host);
    return read_file(scratch_ / "report.html");
  }

  ScratchFolder scratch_;
  StudyPaths paths_{scratch_ / "study"};
  Study study_;
  Plan plan_;
};

const Figure& figure_named(const Page& page, const std::string& title) {
  for (const Section& section : page.sections) {
    for (const Figure& figure : section.figures) {
      if (figure.title == title) return figure;
    }
  }
  throw std::runtime_error("no figure " + title);
}

TEST_F(StudyReport, AClearDifferenceIsMarkedAndSaid) {
  make("y", 6);
  finish(-0.05);
  write_study();
  const Page whole = page();
  const Table& differences = whole.sections[0].tables[1];
  EXPECT_EQ(differences.rows[0][2].look, "clear");
  expect_words(differences.rows[0][2].text, {"-0.0499", "*"});
  EXPECT_EQ(figure_named(whole, "FVU").caption, "Lower than x: y.");
  expect_words(figure_named(whole, "Reconstruction against sparsity").caption,
               {"one is beaten by no other point", "y."});
  expect_words(whole.sections[2].text.back(), {"The same in every run", "cosine"});
  EXPECT_TRUE(is_study(paths_.root));
}

TEST_F(StudyReport, FewSeedsGiveHintsOnly) {
  make("y", 3);
  finish(-0.05);
  write_study();
  const Page whole = page();
  EXPECT_EQ(whole.sections[0].tables[1].rows[0][2].look, "hint");
  expect_words(figure_named(whole, "FVU").caption, {"Lower than x: y.", "hints, not findings"});
}

TEST_F(StudyReport, NoDifferenceIsSaidToBeNotSeen) {
  make("y", 6);
  finish(0);
  for (const PlannedRun& run : plan_.runs) {
    if (run.point == 0) continue;
    const double fvu = 0.2 + (run.seed % 2 == 0 ? 0.01 : -0.01);
    write_file(paths_.summary(run.name), json{{"held_out", {{"fvu", fvu}, {"l0", 32.0}}}}.dump());
  }
  write_study();
  const Page whole = page();
  EXPECT_EQ(whole.sections[0].tables[1].rows[0][2].look, "number");
  EXPECT_EQ(figure_named(whole, "FVU").caption, "No difference from x seen: y.");
}

TEST_F(StudyReport, RunsThatCannotBeMeasuredAgainHaveNoMapAndSayWhy) {
  make("y", 2);
  finish(0.1);
  const json known = {{"found", {0, 1}}, {"missed", {2}}, {"composed", json::array()}, {"mean_best", 0.9}};
  const json held = {{"fvu", 0.1}, {"l0", 2}};
  for (const PlannedRun& run : plan_.runs)
    write_file(paths_.summary(run.name), json{{"held_out", held}, {"known_features", known}}.dump());
  write_study();
  expect_words(html(),
               {"Learnt features", "Not all points could be shown", "Not all seeds could be compared"});
}

TEST_F(StudyReport, AllRunsFailed) {
  make("y", 2);
  for (const PlannedRun& run : plan_.runs) fail(run, "it went wrong: <b>\xff");
  write_study();
  const std::string text = html();
  expect_words(text, {"4 runs failed", "No run is done", "it went wrong: &lt;b&gt;\xef\xbf\xbd", "0 of 4"});
  EXPECT_EQ(text.find("<figure"), std::string::npos);
}

TEST_F(StudyReport, MissingRunsAreTold) {
  make("y", 2);
  write_study();
  expect_words(html(), {"4 runs not trained yet"});
}

TEST_F(StudyReport, HostileLabelsAreText) {
  make("<script>window.alien=1</script>\"'ü", 2);
  finish(0.1);
  write_study();
  const std::string text = html();
  EXPECT_EQ(text.find("<script>window.alien"), std::string::npos);
  expect_words(text, {"&lt;script&gt;window.alien=1&lt;/script&gt;&quot;&apos;ü"});
}

TEST_F(StudyReport, CurvesAreMeansOverSeeds) {
  make("y", 3);
  finish(-0.05);
  write_study();
  const auto curves = read_curves(read_study_record(paths_.root), paths_.root);
  ASSERT_EQ(curves.size(), 2U);
  const Section section = study_curves_section(read_study_record(paths_.root), curves);
  std::vector<std::string> titles;
  for (const Figure& figure : section.figures) titles.push_back(figure.title);
  EXPECT_EQ(titles, (std::vector<std::string>{"Variance unexplained (FVU) by step",
                                              "Active features a row (L0) by step", "Loss term mse by step",
                                              "Loss term l1 by step"}));
  const json& fvu = section.figures[0].spec["data"];
  ASSERT_EQ(fvu[0]["values"].size(), 60U);  // two means of thirty steps
  EXPECT_EQ(fvu[0]["values"][0]["series"], "x");
  EXPECT_NEAR(fvu[0]["values"][0]["y"].get<double>(), 0.41, 1e-12);
  EXPECT_EQ(fvu[1]["values"].size(), 180U);  // and three seeds of each
  EXPECT_EQ(section.figures[0].caption,
            "At the end y is lowest (0.21) and x highest (0.41). It stands still at the end everywhere.");
  EXPECT_EQ(section.figures[3].caption,
            "At the end 0. It still moves at the end of y: more steps would change the figures.");
}

TEST_F(StudyReport, OfManyPointsTheBaseAndTheBestAreDrawn) {
  StudyRecord study;
  for (int i = 0; i < 20; ++i) {
    StudyPoint point{"p" + std::to_string(i), {"p" + std::to_string(i)}, {}};
    point.measures["fvu"].spread.mean = 1.0 - 0.01 * i;  // the last is best
    study.points.push_back(point);
    study.runs.push_back({std::to_string(i), point.label, 0, "done", "", {}});
    begin({std::to_string(i), 0, 0, {}});
  }
  const auto curves = read_curves(study, paths_.root);
  ASSERT_EQ(curves.size(), kCurvedPoints);
  EXPECT_EQ(curves[0].name, "p0");
  EXPECT_EQ(curves[1].name, "p19");
  expect_words(study_curves_section(study, curves).text[0], {"Of 20 points"});
}

TEST_F(StudyReport, LikenessIsToldWithItsLimits) {
  Likeness likeness;
  likeness.points = {{"x", {{0, 1, 0.8, 0.9, 0.3}, {0, 2, 0.8, 0.7, 0.3}}}, {"y", {{0, 1, 0.6, 0.4, 0.3}}}};
  likeness.compared = 3;
  const Figure figure = likeness_section(likeness).figures[0];
  expect_words(figure.caption, {"agree most with x (0.8), least with y (0.4)", "nearest at 0.3"});
  EXPECT_EQ(figure.numbers.rows.size(), 3U);
  expect_words(likeness_section(likeness).text[0], {"all pairs of seeds are compared"});
  likeness.too_many = 7;
  expect_words(likeness_section(likeness).text[0], {"3 of 10 pairs", "regulon compare"});
  expect_words(likeness_section({{}, 0, 4, 2, ""}).text[0], {"too large"});
  expect_words(likeness_section({{}, 0, 0, 2, ""}).text[0], {"2 pairs", "data of its own"});
}

TEST_F(StudyReport, ResultsThatAreNoneAreRefused) {
  write_file(paths_.description(), "{}");
  expect_error<InputError>([&] { page(); }, {"a study without results", "regulon study"});
  const std::pair<const char*, const char*> broken[] = {
      {"", "an empty file"},
      {"[]", "a JSON object"},
      {"{}", "an entry 'study', found none"},
      {R"({"study": 1})", "a text as study, found 1"},
      {R"({"study": "s", "axes": [{"name": "a"}], "points": [], "runs": []})",
       "an entry 'choices' as axes[0]"},
      {R"({"study": "s", "axes": [], "points": [], "runs": []})", "at least the base as points"},
      {R"({"study": "s", "axes": 3, "points": [], "runs": []})", "a list as axes, found 3"}};
  for (const auto& [text, why] : broken) {
    write_file(paths_.root / "results.json", text);
    expect_error<InputError>([&] { page(); }, {"results.json", "is damaged", why, "regulon study"});
  }
}

TEST_F(StudyReport, ResultsThatDoNotFitTheStudyAreRefused) {
  make("y", 2);
  finish(0.1);
  write_study();
  EXPECT_NO_THROW(page());
  const std::string study = read_file(paths_.description());
  for (const char* text : {"", "nonsense", "[1]"}) {
    write_file(paths_.description(), text);
    expect_error<InputError>([&] { page(); }, {"study.json", "is damaged"});
  }
  write_file(paths_.description(), R"({"study": "s y"})");
  expect_error<InputError>([&] { page(); }, {"study.json", "an entry 'runs'"});
  write_file(paths_.description(), R"({"study": "s y", "runs": {"more": "hash"}})");
  expect_error<InputError>([&] { page(); }, {"older than the study", "1 runs", "4 runs", "regulon study"});
  std::filesystem::remove(paths_.description());
  expect_error<InputError>([&] { page(); }, {"study.json", "is not there"});
  write_file(paths_.description(), study);
  write_file(paths_.summary("0,seed=1"), R"({"held_out": {"fvu": 0.5}})");
  expect_error<InputError>([&] { page(); }, {"does not tell what lies in runs/", "0,seed=1"});
  std::filesystem::remove_all(paths_.root / "runs");
  expect_error<InputError>([&] { page(); }, {"0,seed=0/summary.json", "is not there", "regulon study"});
}

}  // namespace
}  // namespace regulon::core::report
