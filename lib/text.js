'use strict';
// Text of others in messages. `src/text/visible.rs` has the same rule.

/** Control characters, separators of lines, marks of text direction, and the byte order mark. */
const INVISIBLE_CONTROLS = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\ufeff]/gu;
/** The same but for the line breaks before the frames of a stack. */
const INVISIBLE_IN_LOG = /\n(?! {4}at )|(?!\n)[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\ufeff]/gu;
const SHORT = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const escapeOf = (character) => SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** The text on one line, in which nothing steers a terminal or hides what follows. */
const escaped = (text) => text.replace(INVISIBLE_CONTROLS, escapeOf);

/** A message for the log: one line, but for the frames of a stack, which are indented. */
const logged = (text) => text.replace(INVISIBLE_IN_LOG, escapeOf);

module.exports = { escaped, logged };
