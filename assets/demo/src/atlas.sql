-- Makes db/atlas.db, the database that the bundle ships, from two of the tz database's tables.

PRAGMA page_size = 4096;
CREATE TABLE country(code TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
.import /tables/iso3166.tab country

CREATE TEMP TABLE row(codes, coordinates, zone, comments);
.import /tables/zone1970.tab row

-- Coordinates are ±DDMM±DDDMM or ±DDMMSS±DDDMMSS: in degrees, north and east are positive.
CREATE TABLE zone(name TEXT PRIMARY KEY, latitude REAL NOT NULL, longitude REAL NOT NULL, comments TEXT) WITHOUT ROWID;
INSERT INTO zone
SELECT zone,
       round((substr(lat, 1, 1) || '1') * (substr(lat, 2, 2) + substr(lat, 4, 2) / 60.0 + substr(lat, 6) / 3600.0), 4),
       round((substr(lon, 1, 1) || '1') * (substr(lon, 2, 3) + substr(lon, 5, 2) / 60.0 + substr(lon, 7) / 3600.0), 4),
       comments
  FROM (SELECT zone, comments, substr(coordinates, 1, length(coordinates) / 2) AS lat,
               substr(coordinates, length(coordinates) / 2 + 1) AS lon FROM row);

CREATE TABLE used(country TEXT REFERENCES country, zone TEXT REFERENCES zone, PRIMARY KEY(country, zone)) WITHOUT ROWID;
INSERT INTO used SELECT value, zone FROM row, json_each('["' || replace(codes, ',', '","') || '"]');
VACUUM;
