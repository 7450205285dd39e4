import Foundation
import Testing
import VLMFoundation

@testable import VLMText

@Suite struct JinjaLimitTests {
  private static let small = JinjaLimits(
    maximumSourceBytes: 1 << 16, maximumSteps: 100_000, maximumOutput: 100_000,
    maximumMemory: 4 << 20)

  private func limit(_ source: String, _ limits: JinjaLimits = small) -> JinjaError.Limit? {
    guard
      case .limit(let limit, let found, let expected)? =
        JinjaFixtures.error(source, ["s": "ab"], limits: limits)?.problem
    else { return nil }
    #expect(found > expected)
    return limit
  }

  @Test(
    "what would take all memory or all time is refused before it does",
    arguments: [
      "{{ 'a' * 10 ** 12 }}", "{{ 'a' * 9223372036854775807 }}", "{{ [1] * 10 ** 12 }}",
      "{{ s.center(10 ** 12) }}", "{{ s.ljust(9223372036854775807) }}", "{{ s.zfill(10 ** 15) }}",
      "{{ s | indent(10 ** 12) }}", "{{ s | center(10 ** 14) }}", "{{ '%1000000000000d' % 1 }}",
      "{{ '%*d' % (10 ** 13, 1) }}", "{{ '{:1000000000000}'.format('a') }}",
      "{{ [[]] | tojson(indent=10 ** 12) }}", "{{ '\\t'.expandtabs(10 ** 12) }}",
      "{{ [1] | batch(10 ** 12, 0) | list }}", "{{ [1] | slice(10 ** 12) | list }}",
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
      "{% for i in range(100000) %}{{ 'aaaaaaaaaaaaaaaaaaaa' }}{% endfor %}",
      """
      {% set ns = namespace(v='aaaaaaaa') %}{% for i in range(99) %}{% set ns.v = ns.v ~ ns.v %}\
      {% endfor %}
      """,
      """
      {% set ns = namespace(v=[1]) %}{% for i in range(99) %}{% set ns.v = ns.v + ns.v %}{% endfor %}
      """,
      """
      {% set ns = namespace(v=[1]) %}{% for i in range(60) %}{% set ns.v = [ns.v, ns.v] %}{% endfor %}\
      {{ ns.v }}
      """,
      """
      {% set ns = namespace(v='a') %}{% for i in range(99) %}\
      {% set ns.v = ns.v.replace('a', 'aaaa') %}{% endfor %}
      """,
      """
      {% set ns = namespace(v='a') %}{% for i in range(99) %}{% set ns.v = ns.v.join(ns.v ~ 'ab') %}\
      {% endfor %}
      """,
      "{% macro m(n) %}{{ m(n - 1) ~ m(n - 2) if n > 1 else 'a' }}{% endmacro %}{{ m(60) }}",
      "{% for i in range(9999) %}{% set x %}{{ 'a' * 1000 }}{% endset %}{% endfor %}",
    ])
  func expensive(_ source: String) {
    let found = limit(source)
    let problem = JinjaFixtures.error(source, ["s": "ab"], limits: Self.small)?.problem
    #expect(
      found == .memory || found == .steps || found == .output || found == .depth
        || problem == .unsupported("an integer beyond 64 bits"), "\(String(describing: problem))")
  }

  @Test("a range is no longer than the sandbox of jinja2 allows")
  func ranges() {
    for source in ["range(10 ** 9)", "range(0 - 10 ** 18, 10 ** 18)", "range(100001)"] {
      #expect(
        JinjaFixtures.error("{{ \(source) }}")
          == JinjaError(
            line: 1,
            .value(
              "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).")))
    }
    let end = "9223372036854775807"
    #expect(JinjaFixtures.error("{{ range(\(end) - 1, \(end), 5) | list }}") == nil)
    #expect(JinjaFixtures.error("{{ range(-\(end) - 1, -\(end), 3) | list }}") == nil)
  }

  @Test("integers that leave 64 bits are refused, not cut")
  func integers() {
    let most = "9223372036854775807"
    for source in [
      "\(most) + 1", "-\(most) - 2", "\(most) * 2", "3 ** 99", "(-\(most) - 1) // -1",
      "-(-\(most) - 1)", "(-\(most) - 1) | abs", "1e300 | int", "(-\(most) - 1) % -1",
      "[\(most), 1] | sum", "10 ** 400", "\(most) | round(-19)",
    ] {
      let problem = JinjaFixtures.error("{{ \(source) }}")?.problem
      #expect(problem == .unsupported("an integer beyond 64 bits"), "\(source)")
    }
    for source in [
      "s[-\(most) - 1]", "s[\(most)]", "s[-\(most) - 1:\(most):-\(most)]",
      "s[:: \(most)]", "s.find('a', -\(most) - 1, \(most))", "s.replace('a', 'b', \(most))",
      "s.split('a', \(most))", "1.5 | round(\(most))", "1.5 | round(-\(most))",
      "s | truncate(\(most), false, '', \(most))", "(1e308 * 10) | round", "1e308 * 10 // 1",
    ] {
      let problem = JinjaFixtures.error("{{ \(source) }}", ["s": "ab"])?.problem
      #expect(problem == nil, "\(source)")
    }
  }

  private static func repeated(_ part: String, _ count: Int) -> String {
    String(repeating: part, count: count)
  }

  /// Programs that are as deep as `depth`.
  private static func deep(_ depth: Int) -> [String] {
    func around(_ opening: String, _ closing: String, within: (String, String) = ("{{ ", " }}"))
      -> String
    {
      within.0 + repeated(opening, depth) + "1" + repeated(closing, depth) + within.1
    }
    let none = ("", "")
    return [
      around("(", ")"), around("[", "]"), around("range(", ")"), around("a[", "]"),
      around("{1:", "}"), around("1|default(", ")"), around("1 is eq (", ")"), around("- ", ""),
      around("1 if 0 else ", ""), around("", " if 1"),
      around("{% if 1 %}", "{% endif %}", within: none),
      around("{% for i in [1] %}", "{% endfor %}", within: none),
      around("{% macro a() %}", "{% endmacro %}", within: none),
      around("{% set a %}", "{% endset %}", within: none),
      around("{% filter upper %}", "{% endfilter %}", within: none),
      around("{% with %}", "{% endwith %}", within: none),
      around("{% generation %}", "{% endgeneration %}", within: none),
    ]
  }

  /// Programs that call themselves without end.
  private static let endless = [
    "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    """
    {% macro m(n) %}{% for x in [1] %}{% if 1 %}{% with a = 1 %}\
    {{ ((([m((n + 1)|abs)|string])|join)) ~ '' }}\
    {% endwith %}{% endif %}{% endfor %}{% endmacro %}{{ m(0) }}
    """,
    "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
    """
    {% macro m() %}{% filter upper %}{% set x %}{{ m() | trim }}{% endset %}{{ x }}{% endfilter %}\
    {% endmacro %}{{ m() }}
    """,
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{% macro m(a=m()) %}{% endmacro %}{{ m() }}",
    "{% macro m() %}{% for x in [1] if m() %}{% endfor %}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ {'a': [{'b': (m(), 1)}]} }}{% endmacro %}{{ m() }}",
  ]

  @Test("depth is bounded on a thread of 512 kB")
  func depth() {
    final class Results: @unchecked Sendable { var limits: [JinjaError.Limit?] = [] }
    let results = Results()
    let done = DispatchSemaphore(value: 0)
    let thread = Thread {
      for source in Self.deep(60) {
        if case .limit(let limit, _, _)? = JinjaFixtures.error(source)?.problem {
          results.limits.append(limit)
        }
      }
      #expect(results.limits.allSatisfy { $0 == .nesting })
      for source in Self.deep(5000) {
        guard case .limit(let limit, _, _)? = JinjaFixtures.error(source)?.problem else { continue }
        results.limits.append(limit)
      }
      for source in Self.endless {
        guard case .limit(let limit, _, _)? = JinjaFixtures.error(source)?.problem else { continue }
        results.limits.append(limit)
      }
      done.signal()
    }
    thread.stackSize = 512 << 10
    thread.start()
    done.wait()
    #expect(results.limits.filter { $0 == .nesting }.count >= Self.deep(1).count)
    #expect(results.limits.filter { $0 == .depth }.count == Self.endless.count)
  }

  @Test("chains are as long as they like")
  func chains() throws {
    let count = 20_000
    for source in [
      "{{ 1" + Self.repeated(" + 1", count) + " }}",
      "{{ 1" + Self.repeated("|string", count) + " }}",
      "{{ 0" + Self.repeated(" or 0 and 1", count) + " }}",
      "{{ " + Self.repeated("not ", count) + "1 }}",
      "{% if 0 %}" + Self.repeated("{% elif 0 %}", count) + "{% endif %}",
      "{{ 1" + Self.repeated(" ~ 2 * 1", count) + " }}",
    ] {
      #expect(JinjaFixtures.error(source) == nil)
    }
  }

  @Test("values cannot be deep, nor hold themselves")
  func values() throws {
    for step in ["[ns.v]", "{'a': ns.v}", "ns.v | map('abs')", "[ns.v].index", "(ns.v, 1)"] {
      let source =
        "{% set ns = namespace(v=[1]) %}{% for i in range(9999) %}{% set ns.v = \(step) %}{% endfor %}"
      #expect(limit(source, JinjaLimits()) == .valueDepth, "\(step)")
    }
    let cycle = "{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns.a[0].a[0].a == ns.a }}"
    #expect(try JinjaFixtures.render(cycle).string == "True")
  }

  @Test("a template may have its bytes and no more")
  func source() {
    let text = Self.repeated("a", 100)
    let limits = JinjaLimits(maximumSourceBytes: 100)
    #expect(JinjaFixtures.error(text, limits: limits) == nil)
    #expect(
      JinjaFixtures.error(text + "b", limits: limits)
        == JinjaError(line: 1, .limit(.sourceBytes, found: 101, expected: 100)))
  }

  @Test("every beginning of a template is read or refused")
  func prefixes() throws {
    for name in ["gpt-oss", "qwen3-coder", "jamba"] {
      let source = try JinjaFixtures.source(name)
      let scalars = Array(source.unicodeScalars)
      for count in stride(from: 0, to: scalars.count, by: 37) {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars[..<count])
        _ = JinjaFixtures.error(String(view), ["messages": [["role": "user", "content": "a"]]])
      }
    }
  }
}
