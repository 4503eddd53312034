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
  void finish(double difference_in_fvu) {
    for (const PlannedRun& run : plan_.runs) {
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
    std::filesystem::create_directories(paths_.root);
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
  expect_words(html(), {"Learnt features", "Not all points could be shown", "is not a run"});
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

TEST_F(StudyReport, ResultsThatAreNoneAreRefused) {
  write_file(paths_.description(), "{}");
  expect_error<InputError>([&] { page(); }, {"a study without results", "regulon study"});
  for (const char* broken : {"", "[]", "{}", "{\"study\": 1}",
                             R"({"study": "s", "axes": [{"name": "a"}], "points": [], "runs": []})"}) {
    write_file(paths_.root / "results.json", broken);
    expect_error<InputError>([&] { page(); }, {"results.json", "is damaged"});
  }
}

}  // namespace
}  // namespace regulon::core::report
