import Testing
import VLMFoundation

@testable import VLMText

@Suite struct JinjaMarkTests {
  /// The output for one user message, with `[…]` around the user's text.
  private func marked(_ source: String, _ text: String = " ab, Cd\nef ") throws -> String {
    let rendered = try JinjaTemplate(source).render([
      (name: "text", value: .text(text, isUserText: true)),
      (name: "bos", value: "<s>"),
      (
        name: "messages",
        value: [["role": "user", "content": .text(text, isUserText: true)]]
      ),
    ])
    for (run, next) in zip(rendered.runs, rendered.runs.dropFirst()) {
      #expect(run.isUserText != next.isUserText)
    }
    #expect(rendered.runs.allSatisfy { !$0.text.isEmpty })
    return rendered.runs.map { $0.isUserText ? "[\($0.text)]" : $0.text }.joined()
  }

  @Test(
    "what the user wrote is known as such whatever the template does with it",
    arguments: [
      ("<s>{{ text }}</s>", "<s>[ ab, Cd\nef ]</s>"),
      ("{{ bos + text + '</s>' }}", "<s>[ ab, Cd\nef ]</s>"),
      ("{{ bos ~ text | trim ~ 1 }}", "<s>[ab, Cd\nef]1"),
      ("{{ text.strip().upper() }}|", "[AB, CD\nEF]|"),
      ("{{ text.split(',')[0] ~ '.' }}", "[ ab]."),
      ("{{ text.split() | join('+') }}", "[ab,]+[Cd]+[ef]"),
      ("{{ text.split(',')[-1].lstrip() }}!", "[Cd\nef ]!"),
      ("{{ text.replace('ab', 'X') }}", "[ ]X[, Cd\nef ]"),
      ("{{ text | replace('\\n', '<br>') }}", "[ ab, Cd]<br>[ef ]"),
      ("{{ '<' ~ text[1:3] ~ '>' }}", "<[ab]>"),
      ("{{ text[::-1] | trim }}.", "[fe\ndC ,ba]."),
      ("{{ text | first ~ text | last }}", "[  ]"),
      ("{{ '%s: %s' % ('a', text.strip()) }}", "a: [ab, Cd\nef]"),
      ("{{ '{}: {x}'.format('a', x=text.strip()) }}", "a: [ab, Cd\nef]"),
      ("{{ text | indent(2, true) }}", "  [ ab, Cd]\n  [ef ]"),
      ("{{ text | tojson }}", "\"[ ab, Cd\\nef ]\""),
      ("{{ [text.strip()] }}", "['[ab, Cd\\nef]']"),
      ("{{ messages | tojson }}", "[{\"role\": \"user\", \"content\": \"[ ab, Cd\\nef ]\"}]"),
      ("{% set x %}<{{ text }}>{% endset %}{{ x | trim }}", "<[ ab, Cd\nef ]>"),
      ("{% set x = text %}{{ x * 2 }}.", "[ ab, Cd\nef  ab, Cd\nef ]."),
      ("{% macro m(a) %}({{ a | trim }}){% endmacro %}{{ m(text) }}", "([ab, Cd\nef])"),
      ("{% filter upper %}a{{ text }}b{% endfilter %}", "A[ AB, CD\nEF ]B"),
      ("{% for c in text if c == 'a' or c == 'e' %}{{ c }}-{% endfor %}", "[a]-[e]-"),
      ("{% for m in messages %}{{ m.role }}:{{ m['content'] }}{% endfor %}", "user:[ ab, Cd\nef ]"),
      ("{{ messages | map(attribute='content') | map('trim') | join }}", "[ab, Cd\nef]"),
      ("{{ (text | string).title() | truncate(9, true, '~', 0) }}", "[ Ab, Cd\n]~"),
      ("{{ text.partition(',') | join('_') }}", "[ ab]_[,]_[ Cd\nef ]"),
      ("{{ text.center(13, '*') }}", "*[ ab, Cd\nef ]*"),
      ("{{ text if text == ' ab, Cd\\nef ' else 'other' }}", "[ ab, Cd\nef ]"),
      ("{{ {' ab, Cd\\nef ': 'found'}[text] }}", "found"),
      ("{% if 'ab' in text and text.strip().startswith('ab') %}yes{% endif %}", "yes"),
      ("{% generation %}{{ text.strip() }}</s>{% endgeneration %}", "[ab, Cd\nef]</s>"),
    ])
  func kept(_ source: String, _ expected: String) throws {
    #expect(try marked(source) == expected)
  }

  @Test("constants and names of a template are never the user's")
  func constants() throws {
    let text = try JinjaTemplate("a{{ 'b' }}{{ role | upper }}{{ 1.5 }}{{ none }}{{ [1] }}").render(
      [
        (name: "role", value: "user")
      ])
    #expect(text.runs == [JinjaText.Run(text: "abUSER1.5None[1]", isUserText: false)])
  }

  @Test("keys of objects are the program's, strings in them the user's")
  func json() throws {
    let value = JinjaValue(["role": "r", "list": ["x", 1, .null]], isUserText: true)
    let text = try JinjaTemplate("{{ v | tojson }}").render([(name: "v", value: value)])
    #expect(
      text.runs.filter(\.isUserText).map(\.text) == ["r", "x"])
    #expect(text.string == "{\"role\": \"r\", \"list\": [\"x\", 1, null]}")
  }

  @Test("texts of all planes come out as they went in")
  func planes() throws {
    let text = "a\u{7f}\u{80}é\u{7ff}\u{800}漢\u{ffff}\u{10000}🙂\u{10ffff}\0"
    let rendered = try JinjaTemplate("{{ t }}").render([
      (name: "t", value: .text(text, isUserText: true))
    ])
    #expect(Array(rendered.string.utf8) == Array(text.utf8))
  }
}
