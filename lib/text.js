'use strict';
// Text of others in messages. `src/text/visible.rs` has the same rule.

/**
 * Control characters, separators of lines, marks of text direction, and the byte order mark. By their numbers, since classes such as
 * `\p{Bidi_Control}` take a millisecond to load.
 */
const INVISIBLE = '\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff';
const INVISIBLE_CONTROLS = new RegExp(`[${INVISIBLE}]`, 'gu');
/** The same but for the line breaks before the frames of a stack. */
const INVISIBLE_IN_LOG = new RegExp(`\\n(?! {4}at )|(?!\\n)[${INVISIBLE}]`, 'gu');
const SHORT = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const escapeOf = (character) => SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** The text on one line, in which nothing steers a terminal or hides what follows. */
const escaped = (text) => text.replace(INVISIBLE_CONTROLS, escapeOf);

/** A message for the log: one line, but for the frames of a stack, which are indented. */
const logged = (text) => text.replace(INVISIBLE_IN_LOG, escapeOf);

module.exports = { escaped, logged };
