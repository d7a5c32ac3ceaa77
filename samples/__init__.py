"""Sample shops: public data sets that fill a source database, so that the lakehouse has something to work on.

A sample is the *source*, not a part of the lakehouse: the package `lakehouse` finds it by its entry point
(group `lakehouse.samples`) and otherwise meets it as any other Postgres database.

    schema.sql         the six source tables
    shop.py            load and advance a source database, in one transaction each
    images.py          what a data set has to say: the images of its rows, in time order
    archive.py         reads CSV straight from the archives in data/
    online_retail.py   UCI Online Retail: a real shop, 2010-12-01 to 2011-12-09
    foodmart.py        FoodMart: a fictional shop that has all six tables, 1997-01-01 to 1998-12-30
"""
