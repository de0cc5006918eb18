-- What `kitbag demo` runs: SQLite, compiled to WebAssembly, on the files of this bundle.
--
--   /tables    the tz database's text files, read-only
--   /db        atlas.db, made from two of them, under an overlay: what is written lands in memory
--   /shipped   the same folder once more, read-only, to compare with at the end
--   /tmp       an empty file system in memory

.print ── 1. The files of the bundle, and a database among them
.print
.files /tables /db /tmp
.echo on
SELECT (SELECT count(*) FROM country) AS countries, (SELECT count(*) FROM zone) AS zones,
       (SELECT count(*) FROM used) AS pairs,
       (SELECT integrity_check FROM pragma_integrity_check) AS integrity;
SELECT c.name AS country, count(*) AS zones, min(z.longitude) AS west, max(z.longitude) AS east
  FROM used u JOIN country c ON c.code = u.country JOIN zone z ON z.name = u.zone
 GROUP BY c.code ORDER BY zones DESC, country LIMIT 5;
.echo off

.print ── 2. Writing: text files are read into new tables of that database
.print
PRAGMA cache_size = 16;
CREATE TEMP TABLE line(text);
CREATE TEMP TABLE leap_line(kind, year, month, day, time, correction, kept);
.echo on
BEGIN;
CREATE TABLE source(text);
.import /tables/tzdata.zi source
SELECT count(*) AS lines, sum(length(text)) AS characters FROM source;
.echo off
.print In the middle of the transaction there are a journal and a lock beside the database:
.print
.files /db

-- A zone is a line `Z name offset rules format [until]` and lines `offset rules format [until]` that continue it.
CREATE TABLE era(zone TEXT, utc INTEGER, rules TEXT, year INTEGER);
WITH marked AS (
  SELECT text, max(iif(text LIKE 'Z %', rowid, NULL)) OVER (ORDER BY rowid) AS head FROM source
   WHERE text LIKE 'Z %' OR text GLOB '[-0-9]*'),
cut AS (
  SELECT (SELECT text FROM source WHERE rowid = head) AS head,
         '["' || replace(iif(text LIKE 'Z %', substr(text, instr(substr(text, 3), ' ') + 3), text), ' ', '","') || '"]' AS f
    FROM marked),
clock AS (
  SELECT head, f ->> 1 AS rules, f ->> 3 AS year, f ->> 0 LIKE '-%' AS west,
         '["' || replace(ltrim(f ->> 0, '-'), ':', '","') || '"]' AS t FROM cut)
INSERT INTO era
SELECT substr(head, 3, instr(substr(head, 3), ' ') - 1), iif(west, -1, 1) * ((t ->> 0) * 3600 + ifnull(t ->> 1, 0) * 60 + ifnull(t ->> 2, 0)),
       nullif(rules, '-'), year
  FROM clock;

-- A rule is a line `R name from to - month day time save letter`; `to` is `ma` while it holds for ever.
CREATE TABLE rule(name TEXT, first INTEGER, last TEXT, month TEXT, day TEXT);
INSERT INTO rule
SELECT f ->> 1, f ->> 2, f ->> 3, f ->> 5, f ->> 6
  FROM (SELECT '["' || replace(text, ' ', '","') || '"]' AS f FROM source WHERE text LIKE 'R %');
DROP TABLE source;
CREATE INDEX era_by_zone ON era(zone);
CREATE INDEX rule_by_name ON rule(name);
.echo on
COMMIT;
.echo off
.print
.print After it they are gone:
.print
.files /db

.print ── 3. What the tables say
.print
.print Clocks that are no whole number of hours from UTC:
.print
SELECT z.name AS zone, c.name AS country, printf('%+.2f', e.utc / 3600.0) AS hours
  FROM zone z JOIN era e ON e.zone = z.name AND e.year IS NULL JOIN used u ON u.zone = z.name JOIN country c ON c.code = u.country
 WHERE e.utc % 3600 <> 0 ORDER BY e.utc, country;
.print Where the clock is farthest from the sun (standard time; a day's difference in date left aside):
.print
WITH drift AS (
  SELECT z.name, z.longitude, e.utc / 60 AS utc, round(z.longitude * 4) AS sun FROM zone z JOIN era e ON e.zone = z.name AND e.year IS NULL),
turned AS (
  SELECT *, (utc - sun + 2160) % 1440 - 720 AS minutes FROM drift)
SELECT name AS zone, round(longitude, 1) AS longitude, CAST(minutes AS INTEGER) AS minutes,
       time(720 * 60 + minutes * 60, 'unixepoch') AS noon_by_the_sun
  FROM turned ORDER BY abs(minutes) DESC, name LIMIT 8;
.print Zones whose standard time was redefined most often:
.print
SELECT zone, count(*) AS eras, min(year) AS since, max(year) AS last_change,
       printf('%+.2f', min(utc) / 3600.0) AS lowest, printf('%+.2f', max(utc) / 3600.0) AS highest
  FROM era GROUP BY zone ORDER BY eras DESC, zone LIMIT 8;
.print Who still changes the clocks twice a year, and on which days:
.print
WITH change AS (
  SELECT name, group_concat(month || ' ' || day, ', ' ORDER BY instr('Ja F Mar Ap May Jun Jul Au S O N D', month)) AS days
    FROM rule WHERE last = 'ma' GROUP BY name)
SELECT days, count(DISTINCT z.name) AS zones, count(DISTINCT country) AS countries,
       iif(count(DISTINCT country) > 12, substr(group_concat(DISTINCT country ORDER BY country), 1, 36) || '…',
           group_concat(DISTINCT country ORDER BY country)) AS their_codes
  FROM zone z JOIN era e ON e.zone = z.name AND e.year IS NULL JOIN change ON change.name = e.rules JOIN used u ON u.zone = z.name
 GROUP BY days ORDER BY zones DESC, days LIMIT 8;
.print The nearest neighbours among the zones' cities, and the one with none near:
.print
CREATE TEMP TABLE distance AS
SELECT a.name AS one, b.name AS other,
       6371 * 2 * asin(sqrt(pow(sin(radians(b.latitude - a.latitude) / 2), 2)
         + cos(radians(a.latitude)) * cos(radians(b.latitude)) * pow(sin(radians(b.longitude - a.longitude) / 2), 2))) AS km
  FROM zone a JOIN zone b ON a.name <> b.name;
SELECT * FROM (SELECT one, other, CAST(round(km) AS INTEGER) AS km FROM distance WHERE one < other ORDER BY distance.km LIMIT 4)
 UNION ALL
SELECT * FROM (SELECT one, other, CAST(round(min(km)) AS INTEGER) AS km FROM distance GROUP BY one ORDER BY 3 DESC LIMIT 1);
.print The longest times between two leap seconds:
.print
CREATE TABLE leap(day TEXT PRIMARY KEY);
.import /tables/leapseconds leap_line
INSERT INTO leap
SELECT year || '-' || iif(month = 'Jun', '06', '12') || '-' || day FROM leap_line WHERE kind = 'Leap';
SELECT lag(day) OVER (ORDER BY day) AS after, day AS until, CAST(julianday(day) - julianday(lag(day) OVER (ORDER BY day)) AS INTEGER) AS days,
       row_number() OVER (ORDER BY day) || ' of ' || count(*) OVER () AS leap_second
  FROM leap ORDER BY days DESC LIMIT 3;

.print ── 4. A transaction that is taken back
.print
.echo on
BEGIN;
DELETE FROM zone WHERE name LIKE 'America/%';
UPDATE era SET utc = 0;
SELECT (SELECT count(*) FROM zone) AS zones, (SELECT count(DISTINCT utc) FROM era) AS clocks;
.echo off
.files /db
.echo on
ROLLBACK;
SELECT (SELECT count(*) FROM zone) AS zones, (SELECT count(DISTINCT utc) FROM era) AS clocks,
       (SELECT integrity_check FROM pragma_integrity_check) AS integrity;
.echo off

.print ── 5. The bundle is as it was
.print
.echo on
DROP INDEX era_by_zone;
DROP INDEX rule_by_name;
VACUUM;
ATTACH 'file:/shipped/atlas.db?immutable=1' AS shipped;
SELECT m.name AS "table", s.name IS NOT NULL AS shipped
  FROM main.sqlite_schema m LEFT JOIN shipped.sqlite_schema s USING(name)
 WHERE m.type = 'table' ORDER BY m.rowid;
SELECT (SELECT count(*) FROM (SELECT * FROM main.zone EXCEPT SELECT * FROM shipped.zone)) AS zones_added,
       (SELECT count(*) FROM (SELECT * FROM shipped.zone EXCEPT SELECT * FROM main.zone)) AS zones_lost;
DETACH shipped;
.files /db /shipped /tmp
