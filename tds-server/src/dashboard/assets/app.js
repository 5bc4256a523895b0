// The script of the operator's page. It uses only the public API, writes text only with `textContent`, sends requests
// every two seconds, and sends none while the page is hidden.
'use strict';

const EVERY = 2000;
const KEY = 'tds-token';
const $ = (id) => document.getElementById(id);
let timer = null;
let signingIn = false;

// --- calls of the API -------------------------------------------------------------------------------------------

class SignInNeeded extends Error {}

async function call(method, path, body) {
  const headers = { Accept: 'application/json' };
  const token = sessionStorage.getItem(KEY);
  if (token) headers.Authorization = 'Bearer ' + token;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.status === 401) throw new SignInNeeded(token ? 'The token is not valid.' : '');
  const text = await answer.text();
  let document = {};
  try { document = JSON.parse(text); } catch { /* the status says enough */ }
  // An unhealthy server answers 503, but the body is still a report.
  if (!answer.ok && !document.components) throw new Error(document.detail || 'HTTP ' + answer.status);
  return document;
}

// --- small helpers ----------------------------------------------------------------------------------------------

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === 'class') made.className = value;
    else if (key.startsWith('data-') || key.startsWith('aria-') || key === 'title' || key === 'colspan') made.setAttribute(key, value);
    else made[key] = value;
  }
  for (const child of children) if (child !== null && child !== undefined) made.append(child);
  return made;
}

const whole = (number) => number === null || number === undefined ? '–' : Number(number).toLocaleString();

function span(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds < 1) return Math.round(seconds * 1000) + ' ms';
  if (seconds < 60) return (seconds < 10 && !Number.isInteger(seconds) ? seconds.toFixed(1) : Math.round(seconds)) + ' s';
  if (seconds < 5400) return Math.round(seconds / 60) + ' min';
  if (seconds < 172800) return Math.round(seconds / 3600) + ' h';
  return Math.round(seconds / 86400) + ' d';
}

function since(time) {
  const seconds = Math.max(0, (Date.now() - new Date(time)) / 1000);
  return seconds < 2 ? 'now' : span(Math.round(seconds)) + ' ago';
}

// `refresh` updates the text as time passes.
function ago(time) {
  if (!time) return element('span', { class: 'muted' }, 'never');
  return element('time', { dateTime: time, title: new Date(time).toLocaleString() }, since(time));
}

const when = (time) => element('td', { class: 'when' }, ago(time));
const note = (text) => text ? element('span', { class: 'sub note', title: text }, text.length > 140 ? text.slice(0, 140) + '…' : text) : null;

const pill = (state, text) => element('span', { class: 'pill', 'data-state': state }, element('i'), text.replaceAll('_', ' '));

function count(number, tone) {
  return element('td', { class: 'n ' + (number ? tone || '' : 'zero') }, whole(number));
}

// A table is updated only when its data changed, so that focus and selection are kept.
const shown = new Map();
function fill(table, data, row, empty) {
  const key = JSON.stringify([data, empty]);
  if (shown.get(table) === key) return;
  const body = $(table).tBodies[0];
  if (shown.has(table) && body.contains(document.activeElement)) return;
  shown.set(table, key);
  const heads = [...$(table).tHead.rows[0].cells].map((cell) => cell.textContent);
  body.replaceChildren(...(data.length ? data.map(row) : [element('tr', {}, element('td', { class: 'empty', colspan: heads.length }, empty))]));
  // On a narrow screen the table head is hidden, and each number has a label of its own.
  for (const line of body.rows) for (const cell of line.cells) cell.dataset.label = heads[cell.cellIndex];
}

function toast(text, bad) {
  const made = element('div', { class: bad ? 'toast bad' : 'toast' }, text);
  $('toasts').append(made);
  setTimeout(() => made.remove(), bad ? 8000 : 4000);
}

function action(label, run, options = {}) {
  const button = element('button', { type: 'button', class: options.danger ? 'danger' : '' }, label);
  if (options.name) button.setAttribute('aria-label', options.name);
  button.addEventListener('click', () => act(button, run, options.confirm));
  return button;
}

async function act(button, run, question) {
  if (question && !window.confirm(question)) return;
  button.disabled = true;
  try {
    const done = await run();
    if (done === null) return;
    toast(done);
    button.blur();
    shown.clear();
    await refresh();
  } catch (problem) {
    if (problem instanceof SignInNeeded) askForToken(problem.message);
    else toast(problem.message, true);
  } finally {
    button.disabled = false;
  }
}

const items = (answer) => answer.affected === 1 ? '1 item' : whole(answer.affected) + ' items';

async function startSync(entity, mode) {
  const answer = await call('POST', '/api/zoho/bulk-sync', { entity_type: entity, mode });
  return answer.runs.length === 1 ? 'Run ' + answer.runs[0].id + ' started' : answer.runs.length + ' runs started';
}

// --- display ----------------------------------------------------------------------------------------------------

function showHealth(report) {
  const badge = $('health');
  badge.dataset.state = report.status;
  badge.lastElementChild.textContent = report.status;
  const parts = Object.entries(report.components || {});
  const key = JSON.stringify(parts.map(([name, part]) => [name, part.state, part.detail.replace(/[\d.]+ ms/, '')]));
  if (shown.get('components') === key) return;
  shown.set('components', key);
  $('components').replaceChildren(...parts.map(([name, part]) =>
    element('div', { class: 'component', 'data-state': part.state, title: part.state }, element('i'), element('b', {}, name), element('span', {}, part.detail))));
}

function showStats(stats) {
  for (const name of ['pending', 'processing', 'completed', 'failed', 'dead_letter']) {
    const place = $('n-' + name);
    place.textContent = whole(stats.queue[name]);
    place.parentElement.toggleAttribute('data-on', stats.queue[name] > 0);
  }
  $('n-oldest').textContent = span(stats.oldest_pending_seconds);
  const deferred = stats.deferred;
  const oldest = $('n-oldest-more');
  oldest.textContent = deferred.count ? whole(deferred.count) + ' deferred' + (deferred.until ? ' until ' + new Date(deferred.until).toLocaleTimeString() : '') : '';
  oldest.title = deferred.reason || '';
  showAttention(stats.needs_attention, deferred);
  $('n-delay').textContent = span(stats.sync_delay_avg_seconds);
  $('n-delay-more').textContent = 'median ' + span(stats.sync_delay_p50_seconds) + ', p99 ' + span(stats.sync_delay_p99_seconds);
  const budget = stats.api_budget;
  $('n-budget').textContent = budget.minute_left === null ? '–' : whole(budget.minute_left);
  $('n-budget-more').textContent = 'this minute' + (budget.day_left === null ? ', no daily limit known' : '; ' + whole(budget.day_left) + ' today') + (budget.step === 'normal' ? '' : '; ' + budget.step.replaceAll('_', ' '));
  const rows = Object.entries(stats.by_entity).map(([name, counts]) => ({ name, counts, last: stats.activity[name] || {} }));
  fill('entities', rows, entityRow, 'No entity type is registered.');
}

// Returns what needs a person besides the dead letters, which have rows of their own, and why other items were
// deferred.
function attentionLines(attention, deferred) {
  const one = (number, single, several) => whole(number) + ' ' + (number === 1 ? single : several);
  const lines = [];
  if (attention.unparsed_events) lines.push(one(attention.unparsed_events, 'delivery was', 'deliveries were') + ' not understood. Run tds-server inbox list --status failed to see them.');
  if (attention.held_deletions) lines.push(one(attention.held_deletions, 'deletion is', 'deletions are') + ' held back. Confirm them in the list of runs.');
  if (attention.conflicts) lines.push(one(attention.conflicts, 'record was', 'records were') + ' changed on both sides. Decide at Conflicts, or with tds-server conflicts list --status open.');
  if (attention.drift) lines.push(one(attention.drift, 'record differs', 'records differ') + ' from Zoho.');
  if (deferred.count && deferred.reason) lines.push(one(deferred.count, 'item is', 'items are') + ' deferred and will continue without help, mostly because: ' + deferred.reason);
  return lines;
}

function showAttention(attention, deferred) {
  const lines = attentionLines(attention, deferred);
  const key = JSON.stringify(lines);
  if (shown.get('attention') === key) return;
  shown.set('attention', key);
  $('attention').hidden = lines.length === 0;
  $('attention').replaceChildren(...lines.map((line) => element('li', {}, line)));
}

function noLetters(attention) {
  const waiting = Object.values(attention).some((number) => number > 0);
  return waiting ? 'No dead letters.' : 'Nothing needs attention.';
}

function entityRow({ name, counts, last }) {
  const paused = Boolean(last.paused_since);
  const title = element('td', { class: 'name' }, name.replaceAll('_', ' '), paused ? pill('paused', 'paused') : null);
  const synced = when(last.last_success_at);
  if (last.last_run_status && last.last_run_status !== 'completed') {
    synced.append(element('span', { class: 'sub' }, 'last run: ' + last.last_run_status.replaceAll('_', ' ')));
  }
  const pausing = paused
    ? action('Resume', async () => { await call('POST', '/api/zoho/sync/resume', { entity_type: name }); return name + ' continues'; }, { name: 'Resume ' + name })
    : action('Pause', async () => { await call('POST', '/api/zoho/sync/pause', { entity_type: name }); return name + ' is paused; events are still kept'; }, { name: 'Pause ' + name });
  return element('tr', {}, title, count(counts.pending), count(counts.processing), count(counts.failed, 'warn'), count(counts.dead_letter, 'bad'), count(counts.completed),
    synced, when(last.last_received_at),
    element('td', { class: 'actions' }, action('Sync', () => startSync(name, 'incremental'), { name: 'Sync changes of ' + name }), pausing));
}

// The push of a local change is named by the local id.
const recordOf = (item) => item.zoho_entity_id || 'local ' + item.entity_id + ', to Zoho';

function letterRow(item) {
  const path = '/api/zoho/sync/queue/' + item.id;
  const id = recordOf(item);
  const record = element('td', {}, item.entity_type.replaceAll('_', ' '), element('span', { class: 'sub' }, id));
  return element('tr', {}, record, element('td', { class: 'reason' }, item.error_message || 'no reason was stored'), count(item.retry_count), when(item.queued_at),
    element('td', { class: 'actions' },
      action('Details', async () => { await showDetails(path); return null; }, { name: 'Details of item ' + item.id }),
      action('Retry', async () => items(await call('POST', path + '/retry')) + ' will be retried', { name: 'Retry item ' + item.id }),
      action('Discard', async () => items(await call('POST', path + '/discard')) + ' discarded',
        { danger: true, name: 'Discard item ' + item.id, confirm: 'Discard ' + item.entity_type + ' ' + id + ' for good? Its error remains readable.' })));
}

async function showDetails(path) {
  const item = await call('GET', path);
  $('details-title').textContent = item.entity_type.replaceAll('_', ' ') + ' ' + recordOf(item);
  $('details-reason').textContent = item.error_message || 'No reason was stored.';
  const attempts = item.attempts || [];
  $('details-attempts').replaceChildren(...attempts.map((attempt) =>
    element('li', {}, new Date(attempt.ended_at).toLocaleString() + ', ' + attempt.result.replaceAll('_', ' ') + (attempt.error ? ': ' + attempt.error : ''))));
  const payload = item.payload === undefined ? 'None. The record is read from Zoho.' : item.payload;
  $('details-payload').textContent = typeof payload === 'string' ? payload : JSON.stringify(payload, null, 2);
  $('details').showModal();
}

function runRow(run) {
  const path = '/api/zoho/sync/runs/' + run.id;
  const active = run.status === 'pending' || run.status === 'running';
  const name = element('td', {}, '#' + run.id + ' ' + run.entity_type.replaceAll('_', ' '), element('span', { class: 'sub' }, run.run_type + (run.requested_by ? ', by ' + run.requested_by : '')));
  const numbers = whole(run.processed_items) + ' of ' + whole(run.total_items) + (run.failed_items ? ', ' + whole(run.failed_items) + ' dead' : '') + (run.calls ? ', ' + whole(run.calls) + ' calls' : '');
  const status = element('td', { class: 'state' }, pill(run.status, run.status),
    active ? element('progress', { max: 100, value: run.progress_percent, 'aria-label': 'Progress of run ' + run.id }) : null,
    element('span', { class: 'sub' }, numbers), note(run.error_log));
  if (run.plan) status.title = run.plan.reason;
  const actions = element('td', { class: 'actions' });
  if (active) {
    actions.append(action('Cancel', async () => { await call('POST', path + '/cancel'); return 'Run ' + run.id + ' cancelled'; }, { danger: true, name: 'Cancel run ' + run.id }));
  } else if (run.held_deletions > 0) {
    actions.append(action('Confirm ' + run.held_deletions + ' deletions', async () => items(await call('POST', path + '/confirm-deletions')) + ' will be checked in Zoho',
      { danger: true, confirm: 'Run ' + run.id + ' found ' + run.held_deletions + ' records missing in Zoho. Each record is read once more, and is marked as deleted if it is gone. Continue?' }));
  } else if (run.status === 'failed' || run.status === 'cancelled') {
    actions.append(action('Resume', async () => { await call('POST', path + '/resume'); return 'Run ' + run.id + ' continues'; }, { name: 'Resume run ' + run.id }));
  }
  return element('tr', {}, name, status, when(run.started_at || run.created_at), actions);
}

function eventRow(event) {
  const status = element('td', { class: 'state' }, pill(event.status, event.outcome || event.status), note(event.error_message));
  return element('tr', {}, element('td', {}, event.entity_type.replaceAll('_', ' '), element('span', { class: 'sub' }, event.event_type)),
    element('td', {}, event.entity_id || '–'), status, when(event.received_at));
}

// --- refresh ----------------------------------------------------------------------------------------------------

async function refresh() {
  showHealth(await call('GET', '/health'));
  // This call is made before the others: without a valid token, one refusal is enough.
  const stats = await call('GET', '/api/zoho/sync/stats');
  const [runs, events, letters, inbox] = await Promise.all([
    call('GET', '/api/zoho/sync/runs?limit=10'),
    call('GET', '/api/zoho/webhooks/inbox?limit=12'),
    call('GET', '/api/zoho/sync/queue?status=dead_letter&limit=20'),
    call('GET', '/api/zoho/webhooks/inbox/stats'),
  ]);
  showStats(stats);
  const day = inbox.last_24h;
  $('n-inbox').textContent = whole(day.total);
  $('n-inbox-more').textContent = (day.success_rate_percent === null ? 'none yet' : day.success_rate_percent + ' % applied') + ', ' + whole(inbox.total) + ' kept';
  fill('runs', runs.runs, runRow, 'No run yet. Start one above.');
  fill('events', events.items, eventRow, 'No webhook has arrived yet.');
  fill('letters', letters.items, letterRow, noLetters(stats.needs_attention));
  for (const time of document.querySelectorAll('main time')) time.textContent = since(time.dateTime);
  $('retry-all').disabled = letters.items.length === 0;
  $('sign-out').hidden = !sessionStorage.getItem(KEY);
  $('updated').textContent = 'updated ' + new Date().toLocaleTimeString();
}

async function tick() {
  clearTimeout(timer);
  if (document.hidden || signingIn) return;
  try {
    await refresh();
  } catch (problem) {
    if (problem instanceof SignInNeeded) { askForToken(problem.message); return; }
    $('health').dataset.state = 'unhealthy';
    $('health').lastElementChild.textContent = problem instanceof TypeError ? 'no connection' : problem.message;
  }
  timer = setTimeout(tick, EVERY);
}

function askForToken(reason) {
  signingIn = true;
  sessionStorage.removeItem(KEY);
  $('sign-in-error').textContent = reason;
  if (!$('sign-in').open) $('sign-in').showModal();
  $('token').focus();
}

$('sign-in').addEventListener('cancel', (event) => event.preventDefault());
$('sign-in-form').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $('token').value.trim());
  $('token').value = '';
  $('sign-in').close();
  signingIn = false;
  tick();
});
$('details-close').addEventListener('click', () => $('details').close());
$('sign-out').addEventListener('click', () => askForToken(''));
$('retry-all').addEventListener('click', (event) => act(event.currentTarget,
  async () => items(await call('POST', '/api/zoho/sync/queue/retry', { status: 'dead_letter' })) + ' will be retried', 'Retry all dead letters?'));
for (const button of document.querySelectorAll('[data-start]')) {
  const full = button.dataset.start === 'full';
  button.addEventListener('click', () => act(button, () => startSync(button.dataset.entity, button.dataset.start),
    full ? 'Read everything from Zoho? This spends many calls of the daily budget.' : null));
}
document.addEventListener('visibilitychange', tick);
tick();
