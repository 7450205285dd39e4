import Testing
import VLMFoundation

@testable import VLMText

/// Work is counted: processing a text costs steps in proportion to it, so that the limit of steps
/// is a limit of time.
@Suite struct JinjaWorkTests {
  private func steps(
    _ source: String, _ variables: [(name: String, value: JinjaValue)] = []
  ) throws -> Int {
    let template = try JinjaTemplate(source)
    return try JinjaStack.run { () throws(JinjaError) -> Int in
      let run = JinjaInterpreter(
        symbols: template.symbols, limits: template.limits, now: JinjaFixtures.now)
      try run.define(variables)
      _ = try run.run(template.body)
      return run.steps
    }
  }

  @Test(
    "each letter that is looked at or copied counts",
    arguments: [
      "{{ s }}", "{{ (s + 'a')|length }}", "{{ (s ~ 'a')|length }}", "{{ (s * 2)|length }}",
      "{{ s.replace('b', 'c')|length }}", "{{ s.replace('a', '')|length }}", "{{ s[1:]|length }}",
      "{{ s[::-1]|length }}", "{{ 'b' in s }}", "{{ s == t }}", "{{ s < t }}",
      "{{ (s|upper)|length }}", "{{ (s|title)|length }}", "{{ s.isalpha() }}",
      "{{ s.islower() }}", "{{ (s|trim)|length }}", "{{ s.split()|length }}",
      "{{ s.split('b')|length }}", "{{ s.splitlines()|length }}", "{{ ([s]|join)|length }}",
      "{{ (s|tojson)|length }}", "{{ ([s]|string)|length }}", "{{ (s|e)|length }}",
      "{{ s|int }}", "{{ s|float }}", "{{ s.find('b') }}", "{{ s.rfind('b') }}",
      "{{ s.count('a') }}", "{{ s|wordcount }}", "{{ {s: 1}|length }}", "{{ (s|list)|length }}",
      "{{ (s|indent)|length }}", "{{ (s|reverse)|length }}", "{{ (s|urlencode)|length }}",
      "{{ s.startswith(t) }}", "{{ ('%s' % s)|length }}",
      "{{ '{}'.format(s)|length }}", "{% set x %}{{ s }}{% endset %}{{ x|length }}",
      "{% for c in s %}{% endfor %}", "{{ (s|truncate(9999))|length }}",
      "{{ s.partition('b')|length }}", "{{ s.casefold()|length }}",
    ])
  func letters(_ source: String) throws {
    func cost(_ count: Int) throws -> Int {
      let text = JinjaValue.string(String(repeating: "a", count: count))
      return try steps(source, [("s", text), ("t", text)])
    }
    let (small, large) = (try cost(10_000), try cost(20_000))
    #expect(large - small >= 10_000 / 16, "\(small), \(large)")
  }

  @Test("a name that is many blocks away costs more than one at hand")
  func names() throws {
    let loop = "{% for i in range(100) %}{{ a }}{% endfor %}"
    let within = String(repeating: "{% with b = 1 %}", count: 50)
    let end = String(repeating: "{% endwith %}", count: 50)
    #expect(
      try steps("{% set a = 1 %}" + within + loop + end) >= steps("{% set a = 1 %}" + loop) + 2000)
  }

  @Test(
    "writing a float costs more than an integer",
    arguments: ["{{ x }}", "{{ [x]|string }}", "{{ x|tojson }}", "{{ '%f' % x }}"])
  func floats(_ source: String) throws {
    #expect(try steps(source, [("x", 1.5)]) >= JinjaNumber.steps)
  }

  @Test("what a caller gives allows more work, in proportion")
  func allowance() throws {
    let limits = JinjaLimits(maximumSteps: 1000)
    let source = "{% for i in range(8) %}{{ s.replace('b', 'c')|length }}{% endfor %}"
    let text = String(repeating: "a", count: 100_000)
    #expect(JinjaFixtures.error(source, ["s": .string(text)], limits: limits) == nil)
    let own = "{% set s = 'a' * 100000 %}" + source
    guard case .limit(.steps, _, let limit)? = JinjaFixtures.error(own, limits: limits)?.problem
    else {
      Issue.record("not refused")
      return
    }
    #expect(limit == 1000)
  }

  @Test(
    "published templates stay far below the limit with long conversations",
    arguments: [
      "chatml", "llama3.1", "qwen2.5-tools", "qwen3", "deepseek-r1", "deepseek-v3.1",
      "mistral-v3-tools",
      "gpt-oss", "gemma3", "smollm3", "phi4-mini", "granite4", "command-r-tools", "kimi", "glm4",
    ])
  func published(_ name: String) throws {
    let count = 100
    let content = String(repeating: "some words of a message, and more. ", count: 60)
    let messages = (0..<count).map { index -> JinjaValue in
      ["role": index % 2 == 0 ? "user" : "assistant", "content": .text(content, isUserText: true)]
    }
    let steps = try steps(
      JinjaFixtures.source(name),
      [
        ("messages", .list(messages)), ("add_generation_prompt", true), ("tools", .none),
        ("documents", .none), ("bos_token", "<s>"), ("eos_token", "</s>"),
      ])
    #expect(steps <= count * (1000 + 2 * content.utf8.count), "\(steps)")
    #expect(steps <= JinjaLimits().maximumSteps / 4, "\(steps)")
  }
}
