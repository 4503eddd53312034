/// Reports on runs: whole, begun, damaged and hostile ones.

#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include <set>

#include "core/report/run_page.h"
#include "core/report/run_record.h"
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

json manifest(const std::string& name) {
  return {{"config",
           {{"run", {{"name", name}, {"steps", 200}, {"dead_after", 1000}}},
            {"encoder", {{"plugin", "linear"}, {"activation", "relu"}}},
            {"model", {{"features", 8}}},
            {"loss", {{{"name", "mse"}, {"plugin", "mse"}}, {{"name", name}, {"plugin", "l1"}}}}}},
          {"seed", 3},
          {"versions", {{"regulon", "0.1.0"}}},
          {"data", "abc"}};
}

json metrics_line(int step, double fvu, const std::string& term) {
  return {
      {"step", step},
      {"fvu", fvu},
      {"l0", 4.5},
      {"dead_share", 0.25},
      {"seconds", 12},
      {"terms", {{"mse", {{"value", fvu}, {"weighted", fvu}}}, {term, {{"value", 2}, {"weighted", -0.5}}}}}};
}

class RunReport : public ::testing::Test {
 protected:
  std::filesystem::path folder() const { return scratch_ / "run"; }
  void write_manifest(const std::string& name) { write("manifest.json", manifest(name).dump()); }
  void write_metrics(const std::string& term) {
    std::string lines;
    for (int step = 10; step <= 200; step += 10) lines += metrics_line(step, 1.0 / step, term).dump() + "\n";
    write("metrics.jsonl", lines);
  }
  void write_summary() {
    write("summary.json", json{{"held_out",
                                {{"fvu", 0.125},
                                 {"l0", 4.25},
                                 {"rows", 1000},
                                 {"frequency", {{"unused", 0.25}, {"below_1e-1", 0.5}, {"above", 0.25}}}}},
                               {"last", {{"dead_share", 0.25}}}}
                              .dump());
  }
  void write(const std::string& name, const std::string& text) { write_file(folder() / name, text); }
  Page page() const { return run_page(read_run_record(folder()), Measured()); }
  std::string html(const RunEvaluation* evaluation = nullptr) {
    PluginHost host(std::vector<std::filesystem::path>{});
    write_run_report(folder(), scratch_ / "report.html", host, evaluation);
    return read_file(scratch_ / "report.html");
  }

  ScratchFolder scratch_;
};

const Figure* figure_of(const Page& page, const std::string& title) {
  for (const Section& section : page.sections) {
    for (const Figure& figure : section.figures) {
      if (figure.title == title) return &figure;
    }
  }
  return nullptr;
}

TEST_F(RunReport, TellsResultCurvesAndConfig) {
  write_manifest("plain");
  write_metrics("plain");
  write_summary();
  const Page whole = page();
  EXPECT_EQ(whole.title, "plain");
  expect_words(whole.lead, {"87.5%", "4.25 active features", "linear", "relu", "8 features", "mse + plain"});
  EXPECT_TRUE(whole.notices.empty() || !has_charts());
  const Figure* fvu = figure_of(whole, "Variance unexplained (FVU)");
  ASSERT_NE(fvu, nullptr);
  expect_words(fvu->caption, {"From 0.1 to 0.005", "still falling", "0.125", "rebuilt worse"});
  EXPECT_EQ(fvu->numbers.rows.size(), 20U);
  const Figure* terms = figure_of(whole, "Loss terms, times their weights");
  ASSERT_NE(terms, nullptr);
  expect_words(terms->caption, {"mse is 1.0% of the loss", "plain is 99.0% of the loss (subtracted)"});
  expect_words(figure_of(whole, "Dead features")->caption, {"25.0% of the features are dead", "1000 rows"});
}

TEST_F(RunReport, KnowsDecadesFromTheSummaryAndSaysWhyItKnowsNoMore) {
  write_manifest("plain");
  write_summary();
  const std::string text = html();  // no plugins are here: the run cannot be measured again
  expect_words(text, {"was not measured again", "25.0% of the features never fire", "no curves"});
}

TEST_F(RunReport, WhatWasMeasuredStandsIfTheRestCannotBe) {
  write_manifest("plain");
  write_summary();
  RunEvaluation evaluation;
  evaluation.held_out.rows = 1000;
  evaluation.held_out.frequency = at::full({8}, 0.5);
  const std::string text = html(&evaluation);  // no plugins are here: no codes can be left out
  expect_words(text, {"All 8 features fire", "Rows and codes were not looked at in full: "});
  EXPECT_EQ(text.find("was not measured again"), std::string::npos);
}

TEST_F(RunReport, AFailureOfAnyKindLeavesTheReport) {
  write_manifest("plain");
  write_summary();
  RunEvaluation evaluation;
  evaluation.held_out.rows = 1000;
  evaluation.known.emplace();  // its tensors are not there: LibTorch throws
  expect_words(html(&evaluation), {"was not measured again for this report: c10::", "25.0%"});
}

TEST_F(RunReport, MeasuredFrequenciesAreCounted) {
  write_manifest("plain");
  write_summary();
  Measured measured;
  measured.rows = 1000;
  measured.frequency = {0, 0, 0.001, 0.005, 0.005, 0.02, 0.5, 1};
  const Page whole = run_page(read_run_record(folder()), measured);
  const Figure* figure = figure_of(whole, "How often features fire");
  ASSERT_NE(figure, nullptr);
  expect_words(figure->caption, {"2 of 8 features (25.0%) never fire on 1000",
                                 "2 (25.0%) fire on more than a tenth", "seldom stand for one thing"});
  double all = 0;
  for (const auto& row : figure->numbers.rows) all += std::stod(row[1].text);
  EXPECT_EQ(all, 8);
  EXPECT_EQ(figure->numbers.rows[0][0].text, "never");
  EXPECT_EQ(figure->numbers.rows[0][1].text, "2");
}

TEST_F(RunReport, ManyTrueFeaturesAreCutToThoseMatchedWorst) {
  write_manifest("plain");
  write_summary();
  Measured measured;
  Measured::Known known;
  for (std::int64_t t = 0; t < 100; ++t) {
    known.best.push_back(t);
    known.best_cosine.push_back(t >= 90 ? 0.5F : 1.0F);
  }
  for (std::int64_t i = 0; i < 200; ++i) {
    known.order.push_back(i);
    known.alive.push_back(i);
  }
  choose_cells(known);
  EXPECT_EQ(known.drawn, known.drawn_truths);  // each true feature is nearest to the learnt one of its number
  known.cosines.assign(80 * 80, 0.25F);
  measured.known = known;
  const Page whole = run_page(read_run_record(folder()), measured);
  const Figure* figure = figure_of(whole, "Learnt against true features");
  ASSERT_NE(figure, nullptr);
  std::set<std::string> columns;
  for (const json& cell : figure->spec["data"][0]["values"]) columns.insert(cell["x"].get<std::string>());
  EXPECT_EQ(columns.size(), 80U);
  for (int t = 90; t < 100; ++t) EXPECT_EQ(columns.count(std::to_string(t)), 1U) << t;
  expect_words(figure->caption, {"80 true features that are matched worst"});
  EXPECT_EQ(figure->numbers.rows.size(), 80U);
}

TEST_F(RunReport, TellsWhatCodesAreWorthAndHowLossesLie) {
  write_manifest("plain");
  write_summary();
  Measured measured;
  measured.drops = {{"weakest", 100, {{8, 0.1}, {6, 0.2}, {2, 0.6}, {0, 1}}}, {"frequent", 100, {}}};
  measured.losses = Measured::Losses{{{0.5, 0.08}, {0.99, 0.5}}, 2.5, 0.125};
  const Page whole = run_page(read_run_record(folder()), measured);
  const Figure* figure = figure_of(whole, "What codes are worth");
  ASSERT_NE(figure, nullptr);
  // Half of eight is half way between six and two.
  expect_words(figure->caption, {"100 held-out rows", "weakest codes first, FVU is 0.4 instead of 0.1"});
  EXPECT_EQ(figure->numbers.rows.size(), 4U);
  const Table& losses = whole.sections[0].tables.back();
  EXPECT_EQ(losses.rows.size(), 3U);
  expect_words(losses.note, {"12.5% of the loss"});
}

TEST_F(RunReport, AnUnfinishedRunIsSaidToBeOne) {
  write_manifest("plain");
  write_metrics("plain");
  expect_words(html(), {"not finished", "step 200 of 200", "There is no result yet"});
}

TEST_F(RunReport, ATornLastLineIsLeftOutAndTold) {
  write_manifest("plain");
  write("metrics.jsonl", metrics_line(10, 0.5, "x").dump() + "\n{\"step\": 20, \"fv");
  const RunRecord run = read_run_record(folder());
  EXPECT_EQ(run.metrics.size(), 1U);
  EXPECT_EQ(run.torn, 1U);
  expect_words(html(), {"1 line of metrics.jsonl"});
}

TEST_F(RunReport, MetricsThatNoRunWritesAreRefused) {
  write_manifest("plain");
  const std::pair<const char*, const char*> broken[] = {
      {"{\"step\": 20, \"fv\n{\"step\": 30}", "what is no JSON"},
      {"[1]\n", "a JSON object, found a list"},
      {"{\"fvu\": 1}\n", "an entry 'step', found none"},
      {"{\"step\": \"two\"}\n", "a whole number as step, found \"two\""},
      {"{\"step\": 10}\n", "a step after 10, that of the line before as step, found 10"},
      {"{\"step\": 20, \"l0\": \"many\"}\n", "a number as l0, found \"many\""},
      {"{\"step\": 20, \"terms\": {\"mse\": {\"value\": true}}}\n",
       "a number as terms.mse.value, found true"}};
  for (const auto& [line, why] : broken) {
    write("metrics.jsonl", metrics_line(10, 0.5, "x").dump() + "\n" + line);
    expect_error<InputError>([&] { page(); }, {"metrics.jsonl:2", "is damaged", why});
  }
}

TEST_F(RunReport, NumbersThatAreNotFiniteAreLeftOut) {
  write_manifest("plain");
  write("metrics.jsonl", R"({"step": 1, "fvu": null, "terms": {"mse": {"value": null}}})"
                         "\n");
  EXPECT_EQ(figure_of(page(), "Variance unexplained (FVU)"), nullptr);
  EXPECT_EQ(figure_of(page(), "Loss terms, times their weights"), nullptr);
}

TEST_F(RunReport, HostileNamesAreText) {
  const std::string name = "<script>window.alien=1</script>\"' ünï";
  write_manifest(name);
  write_metrics(name);
  write_summary();
  const std::string text = html();
  EXPECT_EQ(text.find("<script>window.alien"), std::string::npos);
  expect_words(text, {"&lt;script&gt;window.alien=1&lt;/script&gt;&quot;&apos; ünï"});
}

TEST_F(RunReport, DamagedFoldersAreRefused) {
  expect_error<InputError>([&] { is_study(folder()); }, {"nothing to report on", "no such folder"});
  std::filesystem::create_directories(folder());
  expect_error<InputError>([&] { is_study(folder()); }, {"nothing to report on", "neither"});
  expect_error<InputError>([&] { page(); }, {"is not a run", "no manifest.json"});
  for (const char* broken : {"", "[]", "{\"config\": 1}", "{}", "{\"config\""}) {
    write("manifest.json", broken);
    expect_error<InputError>([&] { page(); }, {"is not a run"});
  }
  write_manifest("plain");
  const std::pair<const char*, const char*> summaries[] = {
      {"not JSON", "a file with a JSON object, found something else"},
      {"", "an empty file"},
      {R"({"held_out": 3})", "an object as held_out"},
      {R"({"held_out": {"fvu": "low"}})", "a number as held_out.fvu, found \"low\""},
      {R"({"held_out": {"fvu": -0.5}})", "a number of at least 0 as held_out.fvu, found -0.5"},
      {R"({"held_out": {"frequency": {"unused": []}, "l0": [1.5]}})", "a whole number as held_out.l0[0]"}};
  for (const auto& [text, why] : summaries) {
    write("summary.json", text);
    expect_error<InputError>([&] { page(); }, {"summary.json", "is damaged", why, "--resume"});
  }
}

TEST_F(RunReport, AReportThatCannotBeWrittenIsAnErrorThatNamesIt) {
  write_manifest("plain");
  PluginHost host(std::vector<std::filesystem::path>{});
  expect_error<RunError>([&] { write_run_report(folder(), scratch_ / "nowhere" / "r.html", host); },
                         {"nowhere/r.html"});
}

}  // namespace
}  // namespace regulon::core::report
