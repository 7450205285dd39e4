import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

@Suite struct JinjaGoldenTests {
  @Test("every piece of Jinja gives what jinja2 gives, or fails as it does")
  func snippets() throws {
    let context = try JinjaFixtures.json("context.json")
    let snippets = try #require(try JinjaFixtures.json("snippets.json").arrayValue)
    #expect(snippets.count > 900)
    for snippet in snippets {
      let source = snippet["source"]?.stringValue ?? ""
      let found = JinjaFixtures.outcome(source, context)
      #expect(found == JinjaFixtures.expected(snippet), "\(source)")
    }
  }

  @Test("chat templates of sixty kinds render as transformers renders them")
  func templates() throws {
    var contexts: [String: JSONValue] = [:]
    for conversation in try JinjaFixtures.json("conversations.json").arrayValue ?? [] {
      var context = JSONObject()
      for name in ["tools", "documents"] { context.set(name, .null) }
      context.set("add_generation_prompt", false)
      for member in conversation["arguments"]?.objectValue?.members ?? [] {
        context.set(member.key, member.value)
      }
      contexts[conversation["name"]?.stringValue ?? ""] = .object(context)
    }
    let goldens = try #require(try JinjaFixtures.json("expected.json").arrayValue)
    var templates: Set<String> = []
    for golden in goldens {
      let name = golden["template"]?.stringValue ?? ""
      let conversation = golden["case"]?.stringValue ?? ""
      let context = try #require(contexts[conversation])
      let found = JinjaFixtures.outcome(try JinjaFixtures.source(name), context)
      #expect(found == JinjaFixtures.expected(golden), "\(name), \(conversation)")
      templates.insert(name)
    }
    #expect(templates.count >= 60)
    #expect(goldens.count == templates.count * contexts.count)
  }

  @Test("a template tells which variables and words it speaks of")
  func names() throws {
    let template = try JinjaTemplate(
      """
      {% set a = tools %}{% for m in messages %}{{ m.role }}{{ m['content'] }}{{ a }}{{ loop.last }}\
      {% if m.type == 'image' %}{{ b }}{% endif %}{% endfor %}{% macro f(x) %}{{ x }}{% endmacro %}\
      {{ f(1) }}{% with c = d %}{{ c }}{% endwith %}
      """)
    #expect(template.freeNames == ["tools", "messages", "b", "d"])
    #expect(template.mentions("image"))
    #expect(template.mentions("content"))
    #expect(template.mentions("tools"))
    #expect(!template.mentions("video"))
  }

  @Test("an error says the line, what is there and what would have to be")
  func errors() {
    #expect(
      JinjaFixtures.error("a\n{% if x %}\n{{ x.y.z }}{% endif %}", ["x": [:]])
        == nil)
    #expect(
      JinjaFixtures.error("a\n{% if x %}\n{{ x.y.z }}{% endif %}", ["x": ["a": 1]])
        == JinjaError(line: 3, .undefined("'dict object' has no attribute 'y'")))
    #expect(
      JinjaFixtures.error("\n\n{{ 1 + 'a' }}")
        == JinjaError(
          line: 3, .value("unsupported operand type(s) for +: 'int' and 'str'")))
    #expect(
      JinjaFixtures.error("{% if x %}\n{% endfor %}")
        == JinjaError(
          line: 2,
          .unexpected(
            found: "the tag 'endfor'", expected: "one of Jinja")))
    #expect(
      JinjaFixtures.error("{{ raise_exception('No\\nsystem') }}")
        == JinjaError(line: 1, .raised("No\nsystem")))
    #expect(
      JinjaFixtures.error("{{ raise_exception('No\\nsystem') }}")?.description
        == "line 1: the template refuses: No\\u{a}system")
    for tag in ["include 'a'", "import 'a' as b", "extends 'a'", "from 'a' import b"] {
      let name = tag.prefix { $0 != " " }
      #expect(
        JinjaFixtures.error("\n{% \(tag) %}")
          == JinjaError(line: 2, .unsupported("the tag '\(name)'")))
    }
    #expect(
      JinjaFixtures.error("{{ 'a'|nosuch }}")
        == JinjaError(line: 1, .unsupported("the filter 'nosuch'")))
    #expect(
      JinjaFixtures.error("{{ 2 ** 63 }}")
        == JinjaError(line: 1, .unsupported("an integer beyond 64 bits")))
  }

  @Test("today is what the caller says, and else the local time")
  func time() throws {
    let template = try JinjaTemplate("{{ strftime_now('%d %b %Y %H:%M:%S %A %j') }}")
    let now = JinjaTime(year: 2024, month: 12, day: 31, hour: 23, minute: 59, second: 58)
    #expect(try template.render([], now: now).string == "31 Dec 2024 23:59:58 Tuesday 366")
    let year = try JinjaTemplate("{{ strftime_now('%Y') }}").render([]).string
    #expect((Int(year) ?? 0) >= 2024)
  }
}
